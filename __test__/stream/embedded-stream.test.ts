import test from 'ava';
import fc from 'fast-check';
import { open } from '../../src/index.js';
import { all, collectionOf, EVEN, row, SMALL } from './helpers.js';

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

test('chunks that fail by half, embedded in any order, keep every outcome in its place', async (t) => {
  await using store = await open(':memory:', {
    batchOperations: { parallelWorkers: 4, errorRetryAttempts: 0 },
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('text', 'data', 'short', 'taken', 'torn'), { maxLength: 60 }),
      fc.integer({ min: 1, max: 7 }),
      fc.infiniteStream(fc.nat(9)),
      async (kinds, chunkSize, turns) => {
        run += 1;
        const collection = await store.createCollection(`run-${run}`, {
          embedder: {
            name: 'shuffled',
            version: '1',
            dimension: 2,
            embed: async (texts) => {
              const { value } = turns.next();
              for (let turn = 0; turn < (value ?? 0); turn++) await store.listCollections();
              if (texts.includes('torn')) throw new Error('no model');
              return texts.map(() => [1, 1]);
            },
          },
        });
        await collection.insert([{ id: 'taken', data: [1, 1] }]);
        const items = kinds.map((kind, n) => {
          const id = kind === 'taken' ? kind : `row ${n}`;
          if (kind === 'text' || kind === 'torn') return { id, text: kind };
          return { id, data: kind === 'short' ? [1] : [1, 1] };
        });
        const codes = kinds.map((kind, n) => {
          const from = n - (n % chunkSize);
          const chunk = kinds.slice(from, from + chunkSize);
          if (kind === 'short') return 'DIMENSION_MISMATCH';
          if (kind === 'taken') {
            return chunk.indexOf('taken') < n - from ? 'DUPLICATE_ID' : 'ALREADY_EXISTS';
          }
          const isText = kind === 'text' || kind === 'torn';
          return isText && chunk.includes('torn') ? 'EMBEDDING_FAILED' : undefined;
        });
        const outcomes = await all(collection.insertStream(items, { chunkSize }));
        t.deepEqual(
          outcomes.map(({ offset, error }) => [offset, error?.errorCode]),
          codes.map((code, offset) => [offset, code]),
        );
        const created = kinds.filter((_, n) => codes[n] === undefined).length;
        t.is(await collection.count(), created + 1);
        await store.dropCollection(`run-${run}`);
      },
    ),
    { numRuns: 25 },
  );
});
