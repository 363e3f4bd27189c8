import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  type Collection,
  type CollectionOptions,
  type InsertRow,
  open,
  type Progress,
  StreamError,
  type StreamOutcome,
  VolleyError,
} from '../../src/index.js';

const SMALL = { chunkSize: 10, parallelWorkers: 3 };
/** Chunks that do not grow. */
const EVEN = { chunkSize: 10 };

async function collectionOf(
  t: ExecutionContext,
  options: CollectionOptions = { dimension: 2 },
): Promise<Collection> {
  const store = await open(':memory:', { batchOperations: SMALL });
  t.teardown(() => store.close());
  return store.createCollection('things', options);
}

function row(n: number): InsertRow {
  return { id: `row ${n}`, data: [n + 1, 1] };
}

function* rows(count: number, from = 0): Generator<InsertRow> {
  for (let n = from; n < from + count; n++) yield row(n);
}

async function* slowly<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const sources: [string, (count: number) => Iterable<InsertRow> | AsyncIterable<InsertRow>][] = [
  ['an array', (count) => [...rows(count)]],
  ['a generator', (count) => rows(count)],
  ['an async generator', (count) => slowly(rows(count))],
  ['a Node stream', (count) => Readable.from(rows(count))],
  ['a web stream', (count) => Readable.toWeb(Readable.from(rows(count))) as ReadableStream],
];

for (const [title, source] of sources) {
  test(`${title} is inserted, each operation with its outcome in order`, async (t) => {
    const collection = await collectionOf(t);
    const stream = collection.insertStream(source(57), EVEN);
    const outcomes = await all(stream);
    t.deepEqual(
      outcomes.map(({ offset, id, status }) => [offset, id, status]),
      Array.from({ length: 57 }, (_, n) => [n, `row ${n}`, 'created']),
    );
    const summary = await stream.summary;
    t.like(summary, {
      status: 'success',
      receivedCount: 57,
      insertedCount: 57,
      failedCount: 0,
      unreadCount: 0,
      nextOffset: 57,
      chunkCount: 6,
      reached: 'applied',
    });
    t.is(await collection.count(), 57);
  });
}

test('a stream runs although nobody reads its outcomes, and counts them', async (t) => {
  const collection = await collectionOf(t);
  const summary = await collection.insertStream(rows(35)).summary;
  t.like(summary, { status: 'success', insertedCount: 35, unreadCount: 35 });
});

test('columns are cut into chunks as rows are', async (t) => {
  const collection = await collectionOf(t);
  const columns = (from: number, count: number) => ({
    ids: Array.from({ length: count }, (_, n) => `row ${from + n}`),
    data: Float32Array.from({ length: count * 2 }, (_, n) => from + n + 1),
    metadata: Array.from({ length: count }, (_, n) => ({ n: from + n })),
  });
  const source = [columns(0, 25), row(25), row(26), columns(27, 4)];
  const stream = collection.insertStream(source as InsertRow[]);
  t.deepEqual(
    (await all(stream)).map(({ id }) => id),
    Array.from({ length: 31 }, (_, n) => `row ${n}`),
  );
  const [record] = await collection.get(['row 24'], { include: ['data', 'metadata'] });
  t.deepEqual(record?.metadata, { n: 24 });
  t.deepEqual(record?.data, new Float32Array([49, 50]));
});

test('updates, deletes and mixed operations stream too', async (t) => {
  const collection = await collectionOf(t);
  await collection.insertStream(rows(30)).summary;
  const updates = [...rows(30)].map(({ id }) => ({ id, metadata: { seen: true } }));
  t.is((await collection.updateStream(updates).summary).updatedCount, 30);
  t.is(await collection.count({ seen: true }), 30);
  const ids = [...rows(12)].map(({ id }) => id);
  t.is((await collection.deleteStream(slowly(ids)).summary).deletedCount, 12);
  const operations = [
    { op: 'insert', ...row(100) },
    { op: 'update', id: 'row 100', metadata: { a: 1 } },
    { op: 'delete', id: 'row 20' },
    { op: 'delete', id: 'row 0', missing: 'ignore' },
  ] as const;
  const summary = await collection.writeStream(operations).summary;
  t.like(summary, { insertedCount: 1, updatedCount: 1, deletedCount: 1, skippedCount: 1 });
  t.is(await collection.count(), 18);
});

test('every failure has its own offset, whatever fails around it', async (t) => {
  await using store = await open(':memory:');
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('good', 'short', 'no id', 'taken', 'no row'), { maxLength: 90 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 5 }),
      async (kinds, chunkSize, parallelWorkers) => {
        run += 1;
        const collection = await store.createCollection(`run-${run}`, { dimension: 2 });
        await collection.insert([{ id: 'taken', data: [1, 1] }]);
        const expected: Record<string, string | undefined> = {
          short: 'DIMENSION_MISMATCH',
          'no id': 'INVALID_ID',
          taken: 'ALREADY_EXISTS',
          'no row': 'INVALID_ARGUMENT',
        };
        let takenIn = -1;
        const codes = kinds.map((kind, n) => {
          const chunk = Math.floor(n / chunkSize);
          // The same id twice in one chunk is a duplicate before it is a conflict.
          const again = kind === 'taken' && takenIn === chunk;
          if (kind === 'taken') takenIn = chunk;
          return again ? 'DUPLICATE_ID' : expected[kind];
        });
        const items = kinds.map((kind, n) => {
          if (kind === 'no row') return null;
          if (kind === 'no id') return { id: 7, data: [1, 1] };
          if (kind === 'taken') return { id: 'taken', data: [1, 1] };
          return { id: `row ${n}`, data: kind === 'short' ? [1] : [1, 1] };
        });
        const stream = collection.insertStream(items as InsertRow[], {
          chunkSize,
          parallelWorkers,
        });
        const outcomes = await all(stream);
        t.deepEqual(
          outcomes.map(({ offset, error }) => [offset, error?.errorCode]),
          codes.map((code, offset) => [offset, code]),
        );
        const summary = await stream.summary;
        const failed = codes.filter((code) => code !== undefined).length;
        t.is(summary.failedCount, failed);
        t.is(summary.insertedCount, kinds.length - failed);
        t.deepEqual(
          summary.failures.map(({ offset, item }) => [offset, item]),
          items.flatMap((item, offset) => (codes[offset] === undefined ? [] : [[offset, item]])),
        );
        t.is(await collection.count(), 1 + kinds.length - failed);
        await store.dropCollection(`run-${run}`);
      },
    ),
    { numRuns: 25 },
  );
});

test('failures beyond those kept are counted, and each is told', async (t) => {
  const collection = await collectionOf(t);
  const told: number[] = [];
  const bad = Array.from({ length: 40 }, (_, n) => ({ id: `row ${n}`, data: [1] }));
  const stream = collection.insertStream(bad, {
    failuresKept: 7,
    onFailure: async ({ offset }) => void told.push(offset),
  });
  const summary = await stream.summary;
  t.like(summary, { status: 'failed', failedCount: 40, failuresDroppedCount: 33 });
  t.is(summary.failures.length, 7);
  t.deepEqual(
    told,
    Array.from({ length: 40 }, (_, n) => n),
  );
});

test('nothing is read before there is room for it', async (t) => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const collection = await collectionOf(t, {
    embedder: {
      name: 'gated',
      version: '1',
      dimension: 2,
      embed: async (texts) => {
        await gate;
        return texts.map(() => [1, 1]);
      },
    },
  });
  let pulled = 0;
  let told = () => {};
  const full = new Promise<void>((resolve) => {
    told = resolve;
  });
  function* source() {
    for (let n = 0; n < 200; n++) {
      pulled += 1;
      if (pulled === 30) told();
      yield { id: `row ${n}`, text: `text ${n}` };
    }
  }
  const stream = collection.insertStream(source(), EVEN);
  await full;
  // Whatever the stream wants to do next, it has had the time for.
  for (let turn = 0; turn < 50; turn++) await collection.count();
  t.is(pulled, 30);
  release();
  t.is((await stream.summary).insertedCount, 200);
});

test('a slow reader slows the stream', async (t) => {
  const collection = await collectionOf(t);
  let pulled = 0;
  function* source() {
    for (const item of rows(500)) {
      pulled += 1;
      yield item;
    }
  }
  const reader = collection.insertStream(source(), EVEN)[Symbol.asyncIterator]();
  t.is((await reader.next()).value?.offset, 0);
  for (let turn = 0; turn < 50; turn++) await collection.count();
  t.true(pulled <= 80, `${pulled} were read`);
  let last: StreamOutcome | undefined;
  for (let next = await reader.next(); !next.done; next = await reader.next()) last = next.value;
  t.is(last?.offset, 499);
});

test('an error of the source ends the stream, and what was read before is done', async (t) => {
  const collection = await collectionOf(t);
  async function* source() {
    yield* rows(25);
    throw new Error('the file is torn');
  }
  const stream = collection.insertStream(source());
  const seen: number[] = [];
  const thrown = await t.throwsAsync(async () => {
    for await (const { offset } of stream) seen.push(offset);
  });
  t.is(thrown?.message, 'the file is torn');
  t.is(seen.length, 25);
  const error = await t.throwsAsync(stream.summary, { instanceOf: StreamError });
  t.like(error?.summary, { status: 'partial', insertedCount: 25, failedCount: 0, nextOffset: 25 });
  t.is(error?.summary.error, thrown);
  t.is(await collection.count(), 25);
});

test('a reader who leaves cancels the stream and lets go of the source', async (t) => {
  const collection = await collectionOf(t);
  let closed = false;
  async function* source() {
    try {
      for (let n = 0; ; n++) yield row(n);
    } finally {
      closed = true;
    }
  }
  const stream = collection.insertStream(source());
  for await (const { offset } of stream) if (offset === 15) break;
  const summary = await stream.summary;
  t.is(summary.status, 'cancelled');
  t.true(closed);
  // What is committed is the beginning of the stream, and the counts say how far it goes.
  t.is(await collection.count(), summary.insertedCount);
  t.is(summary.nextOffset, summary.insertedCount);
  t.is(summary.receivedCount, summary.insertedCount + summary.failedCount);
  t.true(summary.failures.every(({ error }) => error.errorCode === 'CANCELLED'));
});

test('a stream is cancelled while its source gives nothing', async (t) => {
  const collection = await collectionOf(t);
  async function* source() {
    yield* rows(10);
    await new Promise(() => {});
  }
  const controller = new AbortController();
  const stream = collection.insertStream(source(), { signal: controller.signal });
  for await (const { offset } of stream) if (offset === 9) controller.abort();
  t.like(await stream.summary, { status: 'cancelled', insertedCount: 10, receivedCount: 10 });
});

test('a stream with an aborted signal, or cancelled at once, reads nothing', async (t) => {
  const collection = await collectionOf(t);
  let pulled = 0;
  function* source() {
    pulled += 1;
    yield row(0);
  }
  const aborted = collection.insertStream(source(), { signal: AbortSignal.abort() });
  t.like(await aborted.summary, { status: 'cancelled', receivedCount: 0 });
  t.is((await collection.insertStream(source()).cancel()).status, 'cancelled');
  t.is(pulled, 0);
});

test('a deadline ends a stream that hangs', async (t) => {
  const collection = await collectionOf(t);
  async function* source() {
    yield row(0);
    await new Promise(() => {});
  }
  const stream = collection.insertStream(source(), { deadlineMs: 20, onError: 'collect' });
  const summary = await stream.summary;
  t.is(summary.status, 'cancelled');
  t.is((summary.error as VolleyError).code, 'DEADLINE_EXCEEDED');
});

test('a store that closes ends its streams', async (t) => {
  const store = await open(':memory:', { batchOperations: SMALL });
  const collection = await store.createCollection('things', { dimension: 2 });
  async function* source() {
    yield* rows(20);
    await store.close();
    yield* rows(100, 20);
  }
  const summary = await collection.insertStream(source(), { onError: 'collect' }).summary;
  t.is(summary.status, 'cancelled');
  t.is((summary.error as VolleyError).code, 'STORE_CLOSED');
  t.is(summary.receivedCount, summary.insertedCount + summary.failedCount);
});

test('a call-back that throws ends the stream, not the process', async (t) => {
  const collection = await collectionOf(t);
  const thrown = new Error('no room on the disk');
  const onFailure = () => {
    throw thrown;
  };
  const bad = Array.from({ length: 100 }, (_, n) => ({ id: `row ${n}`, data: [1] }));
  const summary = await collection.insertStream(bad, { onFailure, onError: 'collect' }).summary;
  t.is(summary.error, thrown);
  t.true(summary.receivedCount < 100);
  t.is(summary.failedCount, summary.receivedCount);
});

test('progress never falls and ends once, with the truth', async (t) => {
  const collection = await collectionOf(t);
  const reports: Progress[] = [];
  const items = [...rows(300), { id: '', data: [1, 1] }];
  const stream = collection.insertStream(items, {
    total: 301,
    waitFor: 'indexed',
    onProgress: (progress) => reports.push(progress),
  });
  const summary = await stream.summary;
  t.is(summary.reached, 'indexed');
  const last = reports.at(-1);
  t.like(last, { total: 301, received: 301, durable: 300, applied: 300, indexed: 300, failed: 1 });
  t.is(last?.etaS, 0);
  t.is(last?.bytes, summary.bytes);
  for (const name of ['received', 'durable', 'applied', 'indexed', 'failed', 'bytes'] as const) {
    const values = reports.map((report) => report[name]);
    t.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
  }
});

test('a stream goes on after its last durable operation', async (t) => {
  const collection = await collectionOf(t);
  async function* torn() {
    yield* rows(34);
    throw new Error('the line broke');
  }
  const first = collection.insertStream(torn(), { streamId: 'load', onError: 'collect' });
  t.is((await first.summary).nextOffset, 34);
  t.is(await collection.streamOffset('load'), 34);
  const second = collection.insertStream(rows(60), { streamId: 'load' });
  const outcomes = await all(second);
  t.is(outcomes[0]?.offset, 34);
  t.like(await second.summary, { status: 'success', insertedCount: 26, resumedFrom: 34 });
  const third = await collection.insertStream(rows(60), { streamId: 'load' }).summary;
  t.like(third, { status: 'success', receivedCount: 0, resumedFrom: 60, nextOffset: 60 });
  t.is(await collection.count(), 60);
});

test('an atomic stream is seen at once or not at all', async (t) => {
  const collection = await collectionOf(t);
  let seen = 0;
  async function* source(last: InsertRow) {
    yield* rows(75);
    seen = await collection.count();
    yield last;
  }
  const stream = collection.insertStream(source(row(75)), { atomic: true });
  const outcomes = await all(stream);
  t.is(seen, 0);
  t.true(outcomes.every(({ status, offset }, n) => status === 'created' && offset === n));
  t.like(await stream.summary, { status: 'success', insertedCount: 76, sequence: 1 });

  const failing = collection.insertStream(source({ id: 'row 3', data: [1, 1] }), {
    atomic: true,
    onConflict: 'replace',
  });
  const failed = await all(failing);
  t.is(failed.length, 76);
  t.true(failed.every(({ status }) => status === 'failed'));
  t.deepEqual(
    failed.map(({ error }) => error?.errorCode).filter((code) => code !== 'BATCH_ABORTED'),
    ['DUPLICATE_ID'],
  );
  const error = await t.throwsAsync(failing.summary, { instanceOf: StreamError });
  t.is(error?.code, 'DUPLICATE_ID');
  t.is(error?.details.offset, 75);
  t.like(error?.summary, { status: 'failed', insertedCount: 0, failedCount: 76, sequence: 0 });
  t.is(await collection.count(), 76);
});

test('an atomic stream that is cancelled leaves nothing', async (t) => {
  const collection = await collectionOf(t);
  async function* source() {
    yield* rows(45);
    await new Promise(() => {});
  }
  const stream = collection.insertStream(source(), { atomic: true });
  for (let turn = 0; turn < 20; turn++) await collection.count();
  const summary = await stream.cancel();
  t.like(summary, { status: 'cancelled', insertedCount: 0 });
  t.is(summary.failedCount, summary.receivedCount);
  t.is(await collection.count(), 0);
});

test('chunks commit in their order although their texts are embedded out of it', async (t) => {
  const waiting: (() => void)[] = [];
  const collection = await collectionOf(t, {
    embedder: {
      name: 'shuffled',
      version: '1',
      dimension: 2,
      embed: async (texts) => {
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          // The third chunk is embedded first.
          if (waiting.length === 3) for (const go of waiting.splice(0).reverse()) go();
        });
        return texts.map((text) => [text.length, 1]);
      },
    },
  });
  const items = Array.from({ length: 30 }, (_, n) => ({ id: `row ${n}`, text: `text ${n}` }));
  const stream = collection.insertStream(items, { ...EVEN, streamId: 'texts' });
  t.deepEqual(
    (await all(stream)).map(({ offset }) => offset),
    Array.from({ length: 30 }, (_, n) => n),
  );
  const records = await collection.get(['row 0', 'row 10', 'row 29']);
  t.deepEqual(
    records.map((record) => [record?.version, record?.text]),
    [
      [1, 'text 0'],
      [2, 'text 10'],
      [3, 'text 29'],
    ],
  );
});

test('texts that cannot be embedded fail alone, with the count of tries', async (t) => {
  await using store = await open(':memory:', {
    batchOperations: { ...SMALL, errorRetryAttempts: 2, errorRetryDelayMs: 0 },
  });
  let calls = 0;
  const collection = await store.createCollection('things', {
    embedder: {
      name: 'broken',
      version: '1',
      dimension: 2,
      embed: async () => {
        calls += 1;
        throw new Error('no model');
      },
    },
  });
  const items = [{ id: 'a', text: 'a' }, row(1), { id: 'b', text: 'b' }];
  const summary = await collection.insertStream(items).summary;
  t.like(summary, { status: 'partial', insertedCount: 1, failedCount: 2 });
  t.deepEqual(
    summary.failures.map(({ offset, id, error }) => [offset, id, error.errorCode, error.attempts]),
    [
      [0, 'a', 'EMBEDDING_FAILED', 3],
      [2, 'b', 'EMBEDDING_FAILED', 3],
    ],
  );
  t.is(calls, 3);
});

test('bad sources and options are refused before anything is read', async (t) => {
  const collection = await collectionOf(t);
  const attempts: [() => unknown, string][] = [
    [() => collection.insertStream(7 as never), 'source'],
    [() => collection.insertStream('rows' as never), 'source'],
    [() => collection.insertStream([], { chunkSize: 0 }), 'chunkSize'],
    [() => collection.insertStream([], { parallelWorkers: 1.5 }), 'parallelWorkers'],
    [() => collection.insertStream([], { streamId: '' }), 'streamId'],
    [() => collection.insertStream([], { streamId: 's', atomic: true }), 'streamId'],
    [() => collection.insertStream([], { atomic: 1 as never }), 'atomic'],
    [() => collection.insertStream([], { onProgress: 1 as never }), 'onProgress'],
    [() => collection.insertStream([], { missing: 'ignore' } as never), 'missing'],
  ];
  for (const [attempt, field] of attempts) {
    const error = t.throws(attempt, { instanceOf: VolleyError });
    t.is(error?.details.field, field);
  }
});
