import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value below which a share of the numbers lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
  return sorted[place] ?? Number.NaN;
}

/** Processor, threads, Node.js and system, in one line. */
export function processor(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${model}, ${availableParallelism()} threads, Node ${process.version}, ${process.platform}`;
}

/** What the figures were measured on, in a few lines. */
export function machine(folder: string): string[] {
  const sync = (bytes: number) => syncTimes(folder, bytes);
  const [small, large] = [sync(4096), sync(3 << 20)];
  return [processor(), `disk: append and sync of 4 KiB ${time(small)}, of 3 MiB ${time(large)}`];
}

function time(times: number[]): string {
  return `${median(times).toFixed(2)} ms (p95 ${percentile(times, 0.95).toFixed(2)})`;
}

/** Times of 21 appends of so many bytes, each synced, in ms. */
export function syncTimes(folder: string, bytes: number): number[] {
  const path = join(folder, 'sync-time');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(bytes, 7);
  const times = [];
  for (let round = 0; round < 21; round++) {
    const began = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    times.push(performance.now() - began);
  }
  closeSync(file);
  rmSync(path);
  return times;
}

/** Anonymous resident memory of this process in bytes, or `undefined` where nobody tells. */
export function anonymousMemory(): number | undefined {
  try {
    const rollup = readFileSync('/proc/self/smaps_rollup', 'latin1');
    const kib = /^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
