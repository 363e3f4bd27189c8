import test from 'ava';
import { type Collection, open, VolleyError } from '../../src/index.js';

const SMALL = { chunkSize: 5, parallelWorkers: 3 };

async function filled(): Promise<{ collection: Collection; close: () => Promise<void> }> {
  const store = await open(':memory:', { batchOperations: SMALL });
  const collection = await store.createCollection('things', { dimension: 2 });
  const angle = (n: number) => [Math.cos(n / 50), Math.sin(n / 50)];
  await collection.insert(
    Array.from({ length: 60 }, (_, n) => ({ id: `row ${n}`, data: angle(n) })),
  );
  return { collection, close: () => store.close() };
}

function* queries(count: number) {
  for (let n = 0; n < count; n++) {
    yield { queryVector: [Math.cos(n / 50), Math.sin(n / 50)] };
  }
}

for (const order of ['input', 'finished'] as const) {
  test(`queries of a stream are answered, order: ${order}`, async (t) => {
    const { collection, close } = await filled();
    const found = new Map<number, string | undefined>();
    const offsets: number[] = [];
    const stream = collection.searchStream(queries(43), { limit: 1, order });
    for await (const { offset, queryId, results, status } of stream) {
      t.is(status, 'success');
      t.is(queryId, `query_${offset + 1}`);
      found.set(offset, results[0]?.id);
      offsets.push(offset);
    }
    t.deepEqual(
      [...found].sort(([a], [b]) => a - b),
      Array.from({ length: 43 }, (_, n) => [n, `row ${n}`]),
    );
    if (order === 'input')
      t.deepEqual(
        offsets,
        [...offsets].sort((a, b) => a - b),
      );
    await close();
  });
}

test('a bad query fails alone, in its place', async (t) => {
  const { collection, close } = await filled();
  const source = [...queries(3), { queryVector: [1], queryId: 'mine' }, ...queries(4)];
  const statuses: unknown[] = [];
  for await (const { offset, queryId, status, error } of collection.searchStream(source)) {
    if (status === 'failed') statuses.push([offset, queryId, error?.errorCode]);
  }
  t.deepEqual(statuses, [[3, 'mine', 'DIMENSION_MISMATCH']]);
  await close();
});

test('queries are read a few chunks ahead, and the source is let go', async (t) => {
  const { collection, close } = await filled();
  let pulled = 0;
  let closed = false;
  function* source() {
    try {
      for (const query of queries(1000)) {
        pulled += 1;
        yield query;
      }
    } finally {
      closed = true;
    }
  }
  for await (const { offset } of collection.searchStream(source())) if (offset === 7) break;
  t.true(pulled <= 25, `${pulled} were read`);
  t.true(closed);
  await close();
});

test('errors of the source and an aborted signal end the iteration', async (t) => {
  const { collection, close } = await filled();
  async function* torn() {
    yield* queries(7);
    throw new Error('torn');
  }
  const seen: number[] = [];
  const read = async (stream: AsyncIterable<{ offset: number }>) => {
    for await (const { offset } of stream) seen.push(offset);
  };
  await t.throwsAsync(read(collection.searchStream(torn())), { message: 'torn' });
  t.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6]);
  async function* hanging() {
    yield* queries(2);
    await new Promise(() => {});
  }
  const controller = new AbortController();
  const { signal } = controller;
  const reading = read(collection.searchStream(hanging(), { signal }));
  controller.abort();
  t.is((await t.throwsAsync(reading, { instanceOf: VolleyError }))?.code, 'CANCELLED');
  for (const options of [{ atomic: true }, { order: 'best' }, { chunkSize: 0 }]) {
    const attempt = () => collection.searchStream([], options as never);
    t.is(t.throws(attempt, { instanceOf: VolleyError })?.code, 'INVALID_ARGUMENT');
  }
  await close();
});
