import test from 'ava';
import { type BatchProgress, open, VolleyError, type WriteOptions } from '../src/index.js';

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

test('a batch that is refused or stopped at any moment has one last report', async (t) => {
  const store = await open(':memory:', { batchOperations: { maxMemoryUsageMb: 1 } });
  const collection = await store.createCollection('a', { dimension: 2 });
  const dropped = await store.createCollection('dropped', { dimension: 2 });
  await store.dropCollection('dropped');
  const row = { id: 'a', data: [1, 1] };
  const large = Array.from({ length: 40 }, (_, n) => ({ id: `${n}`, text: 'x'.repeat(40_000) }));
  const end = async (write: (options: WriteOptions) => Promise<unknown>) => {
    const reports: BatchProgress[] = [];
    const error = await t.throwsAsync(
      write({ onProgress: (progress) => void reports.push(progress) }),
      { instanceOf: VolleyError },
    );
    const [last, ...others] = reports.filter(({ status }) => status !== 'running');
    t.is(others.length, 0);
    t.is(last, reports.at(-1));
    t.like(last, { errorCode: error.code, verb: 'insert', applied: 0 });
    t.is(typeof last?.batchId, 'string');
    return `${last?.status} ${last?.errorCode}`;
  };
  const failed = [
    await end((options) => collection.insert([row], { ...options, signal: AbortSignal.abort() })),
    await end((options) => dropped.insert([row], options)),
    await end((options) => collection.insert([row], { ...options, batchSizeLimit: 0 })),
    await end((options) => collection.insert(large, options)),
  ];
  await collection.close();
  failed.push(await end((options) => collection.insert([row], options)));
  await store.close();
  t.deepEqual(failed, [
    'cancelled CANCELLED',
    'failed COLLECTION_NOT_FOUND',
    'failed INVALID_ARGUMENT',
    'failed MEMORY_LIMIT_EXCEEDED',
    'failed STORE_CLOSED',
  ]);
});

test('the last report comes also where the store closes meanwhile', async (t) => {
  const store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  const reports: BatchProgress[] = [];
  const onProgress = (progress: BatchProgress) => void reports.push(progress);
  const written = collection.insert([{ id: 'a', data: [1, 1] }], { onProgress });
  const closed = store.close();
  t.is((await written).insertedCount, 1);
  await closed;
  const ended = reports.filter(({ status }) => status !== 'running');
  t.is(ended.length, 1);
  t.like(ended[0], { status: 'success', received: 1, applied: 1, failed: 0, collection: 'a' });
});

test('a preview tells that nothing was applied', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  let last: BatchProgress | undefined;
  await collection.insert([{ id: 'a', data: [1, 1] }], {
    validateOnly: true,
    onProgress: (progress) => {
      last = progress;
    },
  });
  t.like(last, { status: 'success', received: 1, durable: 0, applied: 0, sequence: null });
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
