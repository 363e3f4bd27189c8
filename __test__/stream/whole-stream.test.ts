import test from 'ava';
import { type InsertRow, type Progress, StreamError } from '../../src/index.js';
import { all, collectionOf, row, rows } from './helpers.js';

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

test('an atomic stream that is stopped after its commit has succeeded', async (t) => {
  const collection = await collectionOf(t);
  const controller = new AbortController();
  const { signal } = controller;
  const stream = collection.insertStream(rows(75), { atomic: true, waitFor: 'indexed', signal });
  // Its outcomes come behind its commit.
  for await (const { status } of stream) {
    t.is(status, 'created');
    controller.abort();
  }
  t.like(await stream.summary, { status: 'success', insertedCount: 75, failedCount: 0 });
  t.is(await collection.count(), 75);
});

test('what an atomic stream has staged is received, and nothing more before its commit', async (t) => {
  const collection = await collectionOf(t);
  await collection.insert([row(1000)], { waitFor: 'indexed' });
  const reports: Progress[] = [];
  const onProgress = (progress: Progress) => reports.push(progress);
  await collection.insertStream(rows(75), { atomic: true, waitFor: 'indexed', onProgress }).summary;
  t.true(reports.length > 1);
  for (const report of reports.slice(0, -1)) t.like(report, { durable: 0, applied: 0, indexed: 0 });
  t.true((reports[0]?.received ?? 0) > 0);
  t.like(reports.at(-1), { received: 75, durable: 75, applied: 75, indexed: 75 });
});

test("an atomic stream's failures have their own codes, however few are kept", async (t) => {
  const collection = await collectionOf(t);
  await collection.insert([row(3), row(40)]);
  const items = [...rows(60), { id: 'short', data: [1] }];
  const expected = new Map([
    [3, 'ALREADY_EXISTS'],
    [40, 'ALREADY_EXISTS'],
    [60, 'DIMENSION_MISMATCH'],
  ]);
  for (const failuresKept of [0, 1]) {
    const stream = collection.insertStream(items, { atomic: true, failuresKept });
    const outcomes = await all(stream);
    t.deepEqual(
      outcomes.map(({ error }) => error?.errorCode),
      items.map((_, offset) => expected.get(offset) ?? 'BATCH_ABORTED'),
    );
    t.is(outcomes[40]?.id, 'row 40');
    const error = await t.throwsAsync(stream.summary, { instanceOf: StreamError });
    t.like(error, { code: 'ALREADY_EXISTS', retriable: false });
    t.like(error?.details, { id: 'row 3', offset: 3 });
    t.is(error?.summary.failures.length, failuresKept);
  }
});
