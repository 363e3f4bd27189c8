import test, { type ExecutionContext } from 'ava';
import type { Collection, Store, StreamOutcome } from '../../src/index.js';
import { NAME, row } from './scenario.js';

/** A store that is empty, in this process or behind a server. */
export type OpenStore = (t: ExecutionContext) => Promise<Store>;

const COUNT = 2500;

async function* rows(count: number, from = 0) {
  for (let n = from; n < from + count; n++) yield row(`id ${n}`, { n });
}

async function outcomesOf(stream: AsyncIterable<StreamOutcome>): Promise<StreamOutcome[]> {
  const outcomes = [];
  for await (const outcome of stream) outcomes.push(outcome);
  return outcomes;
}

/** What the streams of a store promise, wherever its engine is. */
export function streams(open: OpenStore): void {
  const scenario = (
    title: string,
    body: (t: ExecutionContext, collection: Collection) => Promise<void>,
  ) =>
    test(`streams: ${title}`, async (t) => {
      const store = await open(t);
      await body(t, await store.createCollection(NAME, { dimension: 2 }));
    });

  scenario('every operation has its outcome, in order', async (t, collection) => {
    const inserted = collection.insertStream(rows(COUNT));
    const outcomes = await outcomesOf(inserted);
    t.is(outcomes.length, COUNT);
    t.true(
      outcomes.every(({ offset, id, status }, n) => {
        return offset === n && id === `id ${n}` && status === 'created';
      }),
    );
    t.like(await inserted.summary, { insertedCount: COUNT, status: 'success', nextOffset: COUNT });
    const updates = Array.from({ length: COUNT }, (_, n) => ({
      id: `id ${n}`,
      metadata: { n: n + 1 },
    }));
    t.is((await collection.updateStream(updates).summary).updatedCount, COUNT);
    t.is(
      (await collection.deleteStream(updates.slice(500).map(({ id }) => id)).summary).deletedCount,
      2000,
    );
    t.is(await collection.count(), 500);
  });

  scenario('chunks run in the order of the source', async (t, collection) => {
    const operations = Array.from({ length: 1000 }, (_, n) =>
      n === 0
        ? { op: 'insert' as const, ...row('one', { n }) }
        : { op: 'update' as const, id: 'one', metadata: { n } },
    );
    const summary = await collection.writeStream(operations, { chunkSize: 1, parallelWorkers: 8 })
      .summary;
    t.like(summary, { insertedCount: 1, updatedCount: 999, failedCount: 0 });
    const [record] = await collection.get(['one']);
    t.deepEqual(record?.metadata, { n: 999 });
  });

  scenario('failures stand alone and are told with their offset', async (t, collection) => {
    const source = [row('a'), { id: 'short', data: [1] }, row('a2')];
    const stream = collection.insertStream(source, { chunkSize: 1 });
    const { failures, ...summary } = await stream.summary;
    t.like(summary, { status: 'partial', insertedCount: 2, failedCount: 1, nextOffset: 3 });
    t.like(failures[0], { offset: 1, id: 'short', error: { errorCode: 'DIMENSION_MISMATCH' } });
  });

  scenario('a named stream goes on where it was', async (t, collection) => {
    const options = { streamId: 'mine', chunkSize: 100 };
    const first = await collection.insertStream(rows(300), options).summary;
    t.is(first.nextOffset, 300);
    const again = await collection.insertStream(rows(1000), options).summary;
    t.like(again, { resumedFrom: 300, insertedCount: 700, failedCount: 0, nextOffset: 1000 });
    t.is(await collection.count(), 1000);
  });

  scenario('searches come in the order of their queries', async (t, collection) => {
    const axes = [
      { id: 'x', data: [1, 0] },
      { id: 'y', data: [0, 1] },
    ];
    await collection.insert(axes);
    const queries = Array.from({ length: 300 }, (_, n) => ({
      queryVector: axes[n % 2]?.data ?? [],
      limit: 1,
    }));
    const found: string[] = [];
    for await (const { offset, results } of collection.searchStream(queries, { chunkSize: 7 })) {
      t.is(offset, found.length);
      found.push(results?.[0]?.id ?? '');
    }
    t.deepEqual(
      found,
      queries.map((_, n) => axes[n % 2]?.id ?? ''),
    );
  });
}
