/**
 * That the memory of a stream does not grow with its input, and that an atomic stream is staged on
 * the disk and leaves nothing there when it is dropped. Called by main.ts.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Collection,
  type InsertRow,
  type OperationStream,
  open,
  type StreamSummary,
} from '../src/index.js';
import { anonymousMemory } from './machine.js';
import { MixedRows } from './mixed-rows.js';
import { amount, line, print } from './report.js';

const MIB = 1024 * 1024;
/** Wide rows: few of them make many bytes, so that the disk's share of the time is large. */
const DIMENSION = 1536;
/** Of an atomic stream the engine keeps 96 bytes an operation in memory: the widest rows. */
const STAGED_DIMENSION = 8192;
/** Records the stream replaces over and over, so that only its input grows. */
const RECORDS = 20_000;
const BUDGET_MIB = 32;
const PARTS = 10;
const SAMPLES_EACH = 20;

/** Streams so many bytes of vectors, and four tenths of them once more into an atomic stream. */
export async function measureStreamMemory(folder: string, bytes: number): Promise<void> {
  const count = Math.floor(bytes / (DIMENSION * 4));
  print(`\nmemory of streams: ${amount(count)} x ${DIMENSION}, budget ${BUDGET_MIB} MiB, durable`);
  await measureReplacing(join(folder, 'replacing'), new MixedRows(2000, DIMENSION), count);
  const staged = Math.floor((bytes * 0.4) / (STAGED_DIMENSION * 4));
  await measureStaged(join(folder, 'staged'), new MixedRows(400, STAGED_DIMENSION), staged);
}

async function measureReplacing(path: string, source: MixedRows, count: number): Promise<void> {
  await inStore(path, source.dimension, async (collection) => {
    const { summary, peaks, before, elapsed } = await streamed(collection, source, count);
    const left = await collection.count();
    if (summary.insertedCount !== count) throw new Error(`${summary.insertedCount} of ${count}`);
    const beside = `of vectors; ${amount(left)} records left of ${amount(count)}`;
    line(
      'streamed, each record replaced over and over',
      `${amount(summary.bytes / MIB)} MiB`,
      beside,
    );
    line('in', `${elapsed.toFixed(0)} s`, `${amount(summary.bytes / MIB / elapsed)} MiB/s`);
    printPeaks(before, peaks);
    const { logBytes } = await collection.info();
    line('log at the end', `${amount(logBytes / MIB)} MiB`);
  });
}

async function measureStaged(path: string, source: MixedRows, count: number): Promise<void> {
  await inStore(path, source.dimension, async (collection) => {
    let staged = 0;
    const atEnd = (stream: OperationStream) => {
      staged = bytesIn(path);
      void stream.cancel();
    };
    const { summary, peaks, before } = await streamed(collection, source, count, atEnd);
    const { status, bytes } = summary;
    const left = await collection.count();
    if (status !== 'cancelled' || left !== 0) throw new Error(`${status}, ${left} records`);
    line('staged by an atomic stream', `${amount(bytes / MIB)} MiB`, 'then cancelled: 0 records');
    printPeaks(before, peaks);
    await collection.insert([source.row(0)]);
    await collection.compact();
    const files = `${amount(staged / MIB)} MiB, then ${amount(bytesIn(path) / MIB)} MiB`;
    line('on the disk, staged and dropped', files, 'behind the next batch and a compaction');
  });
}

interface Streamed {
  readonly summary: StreamSummary;
  /** Anonymous memory before the stream, and its peak in each tenth of it. */
  readonly before: number;
  readonly peaks: readonly number[];
  /** Seconds. */
  readonly elapsed: number;
}

/** Streams the rows; with `atEnd` into an atomic stream, which that is handed before it ends. */
async function streamed(
  collection: Collection,
  source: MixedRows,
  count: number,
  atEnd?: (stream: OperationStream) => void,
): Promise<Streamed> {
  const before = anonymousMemory() ?? 0;
  const peaks: number[] = Array.from({ length: PARTS }, () => 0);
  const every = Math.max(1, Math.floor(count / (PARTS * SAMPLES_EACH)));
  const sample = (n: number) => {
    const part = Math.min(PARTS - 1, Math.floor((n / count) * PARTS));
    peaks[part] = Math.max(peaks[part] as number, anonymousMemory() ?? 0);
  };
  const ids = atEnd === undefined ? RECORDS : count;
  function* rows(): Generator<InsertRow> {
    for (let n = 0; n < count; n++) {
      if (n % every === 0) sample(n);
      yield { ...source.row(n), id: `row-${n % ids}` };
    }
    atEnd?.(stream);
  }
  const options =
    atEnd === undefined ? ({ onConflict: 'replace', duplicates: 'last_wins' } as const) : {};
  const stream = collection.insertStream(rows(), { ...options, atomic: atEnd !== undefined });
  const began = performance.now();
  const summary = await stream.summary;
  const elapsed = (performance.now() - began) / 1000;
  sample(count);
  return { summary, before, peaks, elapsed };
}

function printPeaks(before: number, peaks: readonly number[]): void {
  const mib = (bytes = 0) => amount(bytes / MIB);
  const shown = `${mib(peaks[0])} MiB, ${mib(peaks.at(-1))} MiB`;
  const beside = `most of all ${mib(Math.max(...peaks))}; before the stream ${mib(before)}`;
  line('anonymous memory, peak of the first tenth and the last', shown, beside);
  line('peak of each tenth', peaks.map(mib).join(', '), 'MiB');
}

function bytesIn(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
}

async function inStore(
  path: string,
  dimension: number,
  work: (records: Collection) => Promise<void>,
): Promise<void> {
  const store = await open(path, { batchOperations: { maxMemoryUsageMb: BUDGET_MIB } });
  try {
    await work(await store.createCollection('records', { dimension }));
  } finally {
    await store.close();
  }
}
