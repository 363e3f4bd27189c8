import test from 'ava';
import simsimd from 'simsimd';
import { BatchError, type Collection, open, VolleyError } from '../src/index.js';
import { randomVectors } from './helpers/random.js';
import { plain } from './helpers/records.js';

interface Thing {
  kind?: string;
}

async function things(): Promise<Collection<Thing>> {
  const store = await open(':memory:');
  return store.createCollection<Thing>('things', { dimension: 2 });
}

test('a failed atomic batch throws its whole result, unless it is to be collected', async (t) => {
  const collection = await things();
  const rows = [
    { id: 'a', data: [1, 2] },
    { id: 'b', data: [1] },
  ];
  const error = await t.throwsAsync(collection.insert(rows), { instanceOf: BatchError });
  t.is(error?.code, 'DIMENSION_MISMATCH');
  t.like(error?.result, { status: 'failed', failedCount: 2 });
  const collected = await collection.insert(rows, { onError: 'collect' });
  t.is(collected.status, 'failed');
  const bestEffort = await collection.insert(rows.slice(1), { atomic: false });
  t.is(bestEffort.status, 'failed');
});

test('an atomic search throws, others return every query', async (t) => {
  const collection = await things();
  const queries = [{ queryVector: [1] }];
  t.is((await collection.search(queries)).status, 'failed');
  const error = await t.throwsAsync(collection.search(queries, { atomic: true }), {
    instanceOf: BatchError,
  });
  t.is(error?.code, 'DIMENSION_MISMATCH');
});

test('rows that JSON cannot carry fail alone, with the reason', async (t) => {
  const collection = await things();
  const result = await collection.insert(
    [
      { id: 'a', data: [1, 2] },
      { id: 'half \ud800', data: [1, 2] },
      { id: 'text', text: '\udc00', data: [1, 2] },
      { id: 'shared', data: new Float32Array(new SharedArrayBuffer(8)) },
      undefined as never,
      { id: 'b', data: new Float32Array([3, 4]) },
    ],
    { atomic: false, outcomes: 'all' },
  );
  t.like(result, { status: 'partial', insertedCount: 2, failedCount: 4 });
  t.deepEqual(
    result.errors.map(({ index, errorCode, vectorId }) => [index, errorCode, vectorId]),
    [
      [1, 'INVALID_ID', null],
      [2, 'INVALID_ARGUMENT', 'text'],
      [3, 'INVALID_VECTOR', 'shared'],
      [4, 'INVALID_ARGUMENT', null],
    ],
  );
  t.is(result.outcomes?.[2]?.errorMessage, 'text holds half of a surrogate pair');
  const [, b] = await collection.get(['a', 'b'], { include: ['data'] });
  t.deepEqual(b?.data, new Float32Array([3, 4]));
});

test('a query that JSON cannot carry fails alone, with the reason', async (t) => {
  const collection = await things();
  const { batchResults, errors } = await collection.search([
    { queryVector: [1, 2] },
    { queryVector: [1, '2' as never], queryId: 'mine' },
  ]);
  t.is(batchResults[0]?.status, 'success');
  t.is(batchResults[1]?.queryId, 'mine');
  t.is(batchResults[1]?.error?.errorMessage, 'queryVector has a string at 1, not a number');
  t.is(errors[0]?.errorCode, 'INVALID_VECTOR');
});

test('what a call is given may change as soon as it has returned', async (t) => {
  const collection = await things();
  const data = new Float32Array([1, 2]);
  const metadata = { kind: 'before' };
  const inserted = collection.insert({ ids: ['a'], data, metadata: [metadata] });
  data.fill(9);
  metadata.kind = 'after';
  await inserted;
  const [record] = plain(await collection.get(['a'], { include: ['data', 'metadata'] }));
  t.deepEqual(record, { id: 'a', data: new Float32Array([1, 2]), metadata: { kind: 'before' } });
});

test('columns write what rows write', async (t) => {
  const collection = await things();
  await collection.insert({
    ids: ['a', 'b'],
    data: new Float32Array([1, 2, 3, 4]),
    texts: ['text', null],
    metadata: [null, { kind: 'x' }],
  });
  await collection.update({ ids: ['a'], metadata: [{ kind: 'y' }] });
  const records = await collection.get(['a', 'b'], { include: ['data', 'text', 'metadata'] });
  t.deepEqual(plain(records), [
    { id: 'a', data: new Float32Array([1, 2]), text: 'text', metadata: { kind: 'y' } },
    { id: 'b', data: new Float32Array([3, 4]), metadata: { kind: 'x' } },
  ]);
});

test('upsert replaces whole records', async (t) => {
  const collection = await things();
  await collection.insert([{ id: 'a', data: [1, 2], metadata: { kind: 'x' } }]);
  const result = await collection.upsert([{ id: 'a', data: [3, 4] }]);
  t.is(result.insertedCount, 1);
  t.deepEqual(plain(await collection.get(['a'])), [{ id: 'a', metadata: {} }]);
});

test('a block of queries finds what exact search finds', async (t) => {
  const store = await open(':memory:');
  const dimension = 16;
  const count = 500;
  const collection = await store.createCollection('random', { dimension });
  const data = randomVectors(count, dimension, 1);
  const queryVectors = randomVectors(20, dimension, 2);
  await collection.insert({ ids: Array.from({ length: count }, (_, n) => `${n}`), data });
  const { batchResults } = await collection.search({ queryVectors }, { limit: 5 });
  t.is(batchResults.length, 20);
  for (const [query, { results }] of batchResults.entries()) {
    const vector = queryVectors.subarray(query * dimension, (query + 1) * dimension);
    const exact = Array.from({ length: count }, (_, n) => ({
      id: `${n}`,
      score: 1 - simsimd.cosine(vector, data.subarray(n * dimension, (n + 1) * dimension)),
    })).sort((left, right) => right.score - left.score);
    t.deepEqual(
      results.map(({ id }) => id),
      exact.slice(0, 5).map(({ id }) => id),
    );
  }
});

test('a list reads one snapshot, whatever is written meanwhile', async (t) => {
  const collection = await things();
  const ids = Array.from({ length: 2100 }, (_, n) => `${n}`);
  const data = randomVectors(ids.length, 2, 3);
  await collection.insert({ ids, data });
  const seen: string[] = [];
  for await (const { id } of collection.list({ include: [] })) {
    if (seen.length === 0) {
      await collection.delete(ids.slice(1000));
      await collection.insert([{ id: 'new', data: [1, 2] }]);
    }
    seen.push(id);
  }
  t.deepEqual(seen.sort(), ids.sort());
});

test('a closed handle refuses, the store and other handles go on', async (t) => {
  await using store = await open(':memory:');
  const first = await store.createCollection('a', { dimension: 2 });
  const second = await store.collection('a');
  await first.close();
  await t.throwsAsync(first.count(), { instanceOf: VolleyError, message: /handle was closed/ });
  t.is(await second.count(), 0);
});

test('get refuses ids that are no strings', async (t) => {
  const collection = await things();
  const error = await t.throwsAsync(collection.get(['a', 7 as never]), {
    instanceOf: VolleyError,
  });
  t.is(error?.code, 'INVALID_ID');
  t.deepEqual(error?.details, { field: 'id', index: 1 });
});

test('what is written is in the graph once indexed() says so', async (t) => {
  const collection = await things();
  const { sequence } = await collection.insert([{ id: 'a', data: [1, 2] }]);
  t.is(await collection.indexed(), sequence);
  t.like(await collection.info(), { count: 1, sequence, indexed: sequence });
});
