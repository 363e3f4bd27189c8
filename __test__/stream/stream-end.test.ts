import test from 'ava';
import { open, StreamError, type VolleyError } from '../../src/index.js';
import { collectionOf, row, rows, SMALL } from './helpers.js';

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
