import test from 'ava';
import { type BatchProgress, open, VolleyError } from '../src/index.js';

test('a batch that is watched tells how far it is, and once how it ended', async (t) => {
  await using store = await open(':memory:');
  let told = () => {};
  const seenRunning = new Promise<void>((resolve) => {
    told = resolve;
  });
  const collection = await store.createCollection('a', {
    embedder: {
      name: 'slow',
      version: '1',
      dimension: 2,
      embed: async (texts) => {
        await seenRunning;
        return texts.map(() => [1, 1]);
      },
    },
  });
  const reports: BatchProgress[] = [];
  const onProgress = (progress: BatchProgress) => {
    reports.push(progress);
    told();
  };
  const rows = Array.from({ length: 7 }, (_, n) => ({ id: `row ${n}`, text: 'text' }));
  const result = await collection.insert([...rows, { id: '', text: 'bad' }], {
    atomic: false,
    onProgress,
  });
  t.like(reports[0], { status: 'running', verb: 'insert', received: 8, applied: 0 });
  t.like(reports.at(-1), { status: 'partial', received: 8, applied: 7, failed: 1 });
  t.is(reports.filter(({ status }) => status !== 'running').length, 1);
  t.true(reports.every(({ batchId }) => batchId === result.batchId));
});

test('every kind of write can be watched, failed ones too', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  const reports: string[] = [];
  const onProgress = ({ verb, status }: BatchProgress) => void reports.push(`${verb} ${status}`);
  const row = { id: 'a', data: [1, 1] };
  await collection.upsert([row], { onProgress });
  await collection.update([{ id: 'a', metadata: { seen: true } }], { onProgress });
  await collection.write([{ op: 'delete', id: 'a' }], { onProgress });
  await collection.delete(['a'], { onProgress, onError: 'collect' });
  t.deepEqual(reports, ['insert success', 'update success', 'write success', 'delete failed']);
});

test('a watcher that throws ends the reports, not the batch', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  const onProgress = () => {
    throw new Error('no');
  };
  t.is((await collection.insert([{ id: 'a', data: [1, 1] }], { onProgress })).insertedCount, 1);
  const error = await t.throwsAsync(collection.insert([], { onProgress: 1 as never }), {
    instanceOf: VolleyError,
  });
  t.is(error?.details.field, 'onProgress');
});
