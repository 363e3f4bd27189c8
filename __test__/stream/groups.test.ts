import test from 'ava';
import fc from 'fast-check';
import { type InsertRow, open, StreamError } from '../../src/index.js';
import { all, collectionOf, EVEN, row, rows, slowly } from './helpers.js';

test('a group lands together or not, wherever chunks end', async (t) => {
  await using store = await open(':memory:');
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      // Of each group: its name, so that some come again, its rows, and whether one is bad.
      fc.array(
        fc.tuple(
          fc.constantFrom(undefined, 'a', 'b'),
          fc.integer({ min: 1, max: 9 }),
          fc.boolean(),
        ),
        { maxLength: 20 },
      ),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      async (parts, chunkSize, isSlow) => {
        run += 1;
        const name = `run-${run}`;
        const collection = await store.createCollection(name, { dimension: 2 });
        // Side by side, groups of one name would be one.
        const items = parts.flatMap(([group, count, isBad], part): InsertRow[] => [
          { id: `${part}`, data: [1, 1] },
          ...Array.from({ length: count }, (_, n) => ({
            id: `${part} ${n}`,
            data: isBad && n === count - 1 ? [1] : [1, 1],
            ...(group !== undefined && { group }),
          })),
        ]);
        const expected = parts.flatMap(([group, count, isBad]) => [
          'created',
          ...Array.from({ length: count }, (_, n) =>
            isBad && (group !== undefined || n === count - 1) ? 'failed' : 'created',
          ),
        ]);
        const source = isSlow ? slowly(items) : items;
        const outcomes = await all(collection.insertStream(source, { chunkSize }));
        t.deepEqual(
          outcomes.map(({ status }) => status),
          expected,
        );
        await store.dropCollection(name);
      },
    ),
    { numRuns: 30 },
  );
});

test('a group is refused where it is more than a chunk may have bytes', async (t) => {
  const dimension = 4096;
  await using store = await open(':memory:', { batchOperations: { maxMemoryUsageMb: 1 } });
  const collection = await store.createCollection('things', { dimension });
  const data = new Float32Array(dimension).fill(1);
  const large = Array.from({ length: 9 }, (_, n) => ({ id: `row ${n}`, data, group: 'large' }));
  const stream = collection.insertStream([{ id: 'first', data }, ...large]);
  const error = await t.throwsAsync(stream.summary, { instanceOf: StreamError });
  t.is(error?.code, 'BATCH_TOO_LARGE');
  t.like(error?.details, { field: 'group', group: 'large', limit: 65_536, unit: 'bytes' });
  t.true((error?.details.actual as number) > 65_536);
  const { summary } = error as StreamError;
  t.like(summary, { insertedCount: 1, nextOffset: 1 });
  t.is(summary.failures[0]?.error.errorCode, 'BATCH_TOO_LARGE');
  t.is(summary.receivedCount, summary.insertedCount + summary.failedCount);
  t.is(await collection.count(), 1);
});

test('a group in whose middle the source breaks leaves nothing', async (t) => {
  const collection = await collectionOf(t);
  async function* torn() {
    yield* rows(13);
    yield { ...row(13), group: 'g' };
    yield { ...row(14), group: 'g' };
    throw new Error('the line broke');
  }
  const stream = collection.insertStream(torn(), { ...EVEN, onError: 'collect' });
  t.like(await stream.summary, { insertedCount: 13, failedCount: 2, nextOffset: 13 });
  t.is(await collection.count(), 13);
});
