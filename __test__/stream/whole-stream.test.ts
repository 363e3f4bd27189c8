import test from 'ava';
import { type InsertRow, StreamError } from '../../src/index.js';
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
