import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import {
  type InsertRow,
  open,
  type Progress,
  type StreamOutcome,
  VolleyError,
} from '../../src/index.js';
import { all, collectionOf, EVEN, row, rows, slowly } from './helpers.js';

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

test("chunks grow from the store's size to ten times that, unless their size is given", async (t) => {
  const collection = await collectionOf(t);
  const sizes = async (count: number, chunkSize?: number) => {
    const options = { chunkSize, onConflict: 'replace', failuresKept: 0 } as const;
    const ends: number[] = [];
    let chunks = 0;
    for (let n = 0; n <= count; n += 10) {
      const { chunkCount } = await collection.insertStream(rows(n), options).summary;
      if (chunkCount > chunks && n > 0) ends.push(n);
      chunks = chunkCount;
    }
    return ends;
  };
  // A chunk begins with the first row that is one too many for those before it: 10, 20, 40, ...
  t.deepEqual(await sizes(360), [10, 20, 40, 80, 160, 260, 360]);
  t.deepEqual(await sizes(60, 30), [10, 40]);
});
