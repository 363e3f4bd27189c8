import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { open } from '../src/index.js';
import { temporaryDirectory } from './helpers/directory.js';

const fixture = fileURLToPath(new URL('./fixtures/crash.ts', import.meta.url));

/** Runs the writer until it has acknowledged some batches, and kills it in the middle of others. */
async function writeUntilKilled(path: string, from: number, enough: number): Promise<number[]> {
  const child = spawn(process.execPath, ['--import=tsx', fixture, path, `${from}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const acknowledged: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    acknowledged.push(Number(line));
    if (acknowledged.length === enough) child.kill('SIGKILL');
  }
  await exited;
  return acknowledged;
}

test('kill -9 in the middle of batches loses nothing acknowledged, and halves nothing', async (t) => {
  const path = temporaryDirectory(t);
  const acknowledged = new Set<number>();
  let from = 0;
  for (const enough of [1, 40, 7, 90, 25]) {
    for (const batch of await writeUntilKilled(path, from, enough)) acknowledged.add(batch);
    // The killed run has begun at most four lanes of three batches beyond its last word.
    const started = Math.max(...acknowledged) + 15;
    from = started - (started % 3) + 3;

    await using store = await open(path);
    const collection = await store.collection<{ batch: number }>('batches');
    const newest = new Map<number, number[]>();
    for await (const { id, metadata } of collection.list({ include: ['metadata'] })) {
      const of = Number(id.split(' ')[0]);
      newest.set(of, [...(newest.get(of) ?? []), metadata?.batch ?? -1]);
    }
    for (let of = 0; of < from; of += 3) {
      const found = newest.get(of) ?? [];
      t.true(found.length === 0 || found.length === 100, `${found.length} records of ${of}`);
      t.is(new Set(found).size, found.length === 0 ? 0 : 1, `batch ${of} is half changed`);
      const deletes = of % 2 === 0;
      const removed = found.length === 0;
      if (acknowledged.has(of + 2) && deletes) t.true(removed, `${of} was removed`);
      else if (acknowledged.has(of + 1)) t.true(removed ? deletes : found[0] === of + 1, `${of}`);
      else if (acknowledged.has(of)) t.false(removed, `${of} is lost`);
    }
  }
});
