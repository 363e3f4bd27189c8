import test from 'ava';
import { open, VolleyError, version } from '../src/index.js';
import { temporaryDirectory } from './helpers/directory.js';
import { plain } from './helpers/records.js';

test('what was written is there after the store is opened again', async (t) => {
  const directory = temporaryDirectory(t);
  const first = await open(directory);
  const written = await first.createCollection<{ n: number }>('a', { dimension: 2 });
  await written.insert([{ id: 'x', data: [1, 2], text: 'words', metadata: { n: 1 } }]);
  await first.close();
  await using second = await open(directory);
  const collection = await second.collection<{ n: number }>('a');
  t.deepEqual(plain(await collection.get(['x'], { include: ['data', 'text', 'metadata'] })), [
    { id: 'x', data: new Float32Array([1, 2]), text: 'words', metadata: { n: 1 } },
  ]);
});

test("a store in memory is one's own", async (t) => {
  await using first = await open(':memory:');
  await using second = await open(':memory:');
  await first.createCollection('a', { dimension: 2 });
  t.deepEqual(await second.listCollections(), []);
});

test('collections are made, listed, found and dropped', async (t) => {
  await using store = await open(':memory:');
  await store.createCollection('b', { dimension: 3, metric: 'euclidean' });
  await store.createCollection('a', { dimension: 2, hnsw: { m: 8, efConstruction: 50 } });
  const infos = await store.listCollections();
  t.deepEqual(infos.map(({ name }) => name).sort(), ['a', 'b']);
  const { name, dimension, metric, count, embedder } = await (await store.collection('b')).info();
  t.deepEqual(
    { name, dimension, metric, count, embedder },
    { name: 'b', dimension: 3, metric: 'euclidean', count: 0, embedder: null },
  );
  await store.dropCollection('b');
  const error = await t.throwsAsync(store.collection('b'), { instanceOf: VolleyError });
  t.is(error?.code, 'COLLECTION_NOT_FOUND');
});

test('a closed store refuses; closing twice is harmless', async (t) => {
  const store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  await Promise.all([store.close(), store.close()]);
  await store.close();
  for (const call of [() => collection.count(), () => store.listCollections()]) {
    const error = await t.throwsAsync(call, { instanceOf: VolleyError });
    t.is(error?.code, 'STORE_CLOSED');
  }
});

test('writes that were pending when the store closed are finished or refused', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await open(directory);
  const collection = await store.createCollection('a', { dimension: 2 });
  const pending = Array.from({ length: 20 }, (_, n) =>
    collection.insert([{ id: `${n}`, data: [1, 2] }]).then(
      () => 1,
      (error: VolleyError) => {
        t.is(error.code, 'STORE_CLOSED');
        return 0;
      },
    ),
  );
  await store.close();
  const acknowledged = (await Promise.all(pending)).reduce<number>((sum, one) => sum + one, 0);
  await using again = await open(directory);
  t.is(await (await again.collection('a')).count(), acknowledged);
});

test('open refuses what it does not know', async (t) => {
  const attempts: [() => Promise<unknown>, RegExp][] = [
    [() => open(''), /path/],
    [() => open(7 as never), /path/],
    [() => open(':memory:', { durable: true } as never), /"durable"/],
    [() => open(':memory:', { durability: 'sometimes' as never }), /sometimes/],
  ];
  for (const [attempt, message] of attempts) {
    const error = await t.throwsAsync(attempt, { instanceOf: VolleyError, message });
    t.is(error?.code, 'INVALID_ARGUMENT');
  }
});

test('limits say value and unit', async (t) => {
  await using store = await open(':memory:');
  t.deepEqual((await store.limits()).idBytesMax, { value: 512, unit: 'bytes' });
});

test('the version is that of the package', (t) => {
  t.regex(version(), /^\d+\.\d+\.\d+$/);
});
