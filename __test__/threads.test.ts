import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { open } from '../src/index.js';
import { temporaryDirectory } from './helpers/directory.js';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

function startWorker(path: string, work: string, name: string): Worker {
  return new Worker(fixture('worker.mjs'), { workerData: { path, work, name } });
}

test('worker threads share an open store', async (t) => {
  const path = temporaryDirectory(t);
  await using store = await open(path);
  const collection = await store.createCollection('shared', { dimension: 2 });
  const exits = ['one', 'two'].map((name) => once(startWorker(path, 'insert', name), 'exit'));
  t.deepEqual(await Promise.all(exits), [[0], [0]]);
  t.is(await collection.count(), 2000);
});

test('a worker that ends in the middle of a batch leaves the store whole', async (t) => {
  const path = temporaryDirectory(t);
  await using store = await open(path);
  const collection = await store.createCollection('shared', { dimension: 2 });
  const worker = startWorker(path, 'forever', 'name');
  const [batch] = (await once(worker, 'message')) as [number];
  await worker.terminate();
  // Behind every batch that the worker had handed over.
  await collection.insert([{ id: 'after', data: [1, 2] }]);
  const count = (await collection.count()) - 1;
  t.is(count % 100, 0);
  t.true(count >= (batch + 1) * 100);
});

const endings: [string, number, string][] = [
  ['nothing left to do', 0, 'acknowledged'],
  ['pending call', 0, 'acknowledged, 1'],
  ['exit', 3, 'acknowledged'],
  ['exit while writing', 3, 'acknowledged'],
  ['throw', 1, 'acknowledged'],
];

for (const [ending, code, output] of endings) {
  test(`a process that ends without closing keeps what it acknowledged: ${ending}`, async (t) => {
    const path = temporaryDirectory(t);
    const { status, signal, stdout } = spawnSync(
      process.execPath,
      ['--import=tsx', fixture('process.ts'), path, ending],
      { encoding: 'utf8' },
    );
    t.deepEqual({ status, signal, stdout }, { status: code, signal: null, stdout: output });
    await using store = await open(path);
    t.is((await (await store.collection('a')).get(['a']))[0]?.id, 'a');
  });
}
