import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { open } from '../../src/index.js';
import { temporaryDirectory } from '../helpers/directory.js';

const fixture = fileURLToPath(new URL('../fixtures/stream-crash.ts', import.meta.url));

/** Runs a stream and kills it once it has said so many lines; returns what it said. */
async function run(path: string, kind: string, count: number, linesMax: number) {
  const args = ['--import=tsx', fixture, path, kind, `${count}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (lines.length === linesMax) child.kill('SIGKILL');
  }
  await exited;
  return lines;
}

async function numbers(path: string, kind: string): Promise<number[]> {
  await using store = await open(path);
  const collection = await store.collection<{ n: number }>('rows');
  const found: number[] = [];
  for await (const { id, metadata } of collection.list()) {
    if (id.startsWith(kind)) found.push(metadata?.n ?? -1);
  }
  return found.sort((a, b) => a - b);
}

test('a stream that is killed goes on where it was durable, without a gap or a double', async (t) => {
  const path = temporaryDirectory(t);
  const count = 3000;
  let durable = 0;
  for (const linesMax of [20, 35, 50]) {
    const lines = await run(path, 'stream', count, linesMax);
    const done = lines.filter((line) => line.startsWith('done')).map((line) => line.split(' ')[1]);
    const found = await numbers(path, 'stream');
    // A prefix, and at least what was told.
    t.deepEqual(
      found,
      Array.from({ length: found.length }, (_, n) => n),
    );
    t.true(found.length >= Math.max(0, ...done.map((offset) => Number(offset) + 1)));
    t.true(found.length >= durable);
    durable = found.length;
  }
  const lines = await run(path, 'stream', count, Number.POSITIVE_INFINITY);
  t.is(lines.at(-1), `end ${count - durable} ${durable}`);
  t.is((await numbers(path, 'stream')).length, count);
});

test('an atomic stream that is killed leaves nothing, and can be run again', async (t) => {
  const path = temporaryDirectory(t);
  await run(path, 'stream', 50, Number.POSITIVE_INFINITY);
  for (const linesMax of [5, 30]) {
    await run(path, 'atomic', 3000, linesMax);
    t.deepEqual(await numbers(path, 'atomic'), []);
  }
  const lines = await run(path, 'atomic', 3000, Number.POSITIVE_INFINITY);
  t.is(lines.at(-1), 'end 3000 0');
  t.is((await numbers(path, 'atomic')).length, 3000);
  t.is((await numbers(path, 'stream')).length, 50);
});
