import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FailureFile } from '../../src/cli/failure-file.js';
import type { ImportItem } from '../../src/cli/input/row.js';
import { parseRow } from '../../src/cli/input/row.js';
import { type LoadFailure, load } from '../../src/cli/load.js';
import { type Collection, type InsertRow, open } from '../../src/index.js';
import { temporaryFolder } from './helpers/temporary-folder.js';

function* items(count: number, from = 0): Generator<ImportItem> {
  for (let i = from; i < from + count; i += 1) {
    yield { row: { id: String(i).padStart(4, '0'), data: [i + 1, 1] }, bytes: 10 };
  }
}

async function* asyncItems(all: Iterable<ImportItem>): AsyncGenerator<ImportItem> {
  yield* all;
}

async function collectionOf(t: ExecutionContext): Promise<Collection> {
  const store = await open(':memory:');
  t.teardown(() => store.close());
  return store.createCollection('rows', { dimension: 2 });
}

async function idsOf(collection: Collection): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of collection.list()) ids.push(id);
  return ids;
}

test('every row is inserted once, in batches of the count asked for', async (t) => {
  const collection = await collectionOf(t);
  const summary = await load(asyncItems(items(25)), collection, {
    bytesTotal: 250,
    batchCount: 10,
  });
  t.like(summary, { inserted: 25, skipped: 0, failed: 0, bytes: 250, batches: 3 });
  t.is(summary.stoppedBy, undefined);
  const expected = [...items(25)].map(({ row }) => row?.id);
  t.deepEqual(await idsOf(collection), expected as string[]);
});

test('failed operations and unreadable rows are counted by code; the others go on', async (t) => {
  const problem = { errorCode: 'INVALID_ID', errorMessage: 'bad', path: 'f', line: 2 } as const;
  const failures: LoadFailure[] = [];
  const short = { row: { id: 'short', data: [1] }, bytes: 10 };
  const input = [...items(3), { problem, bytes: 5 }, short, ...items(3, 3), ...items(1)];
  const collection = await collectionOf(t);
  const summary = await load(asyncItems(input), collection, {
    bytesTotal: 85,
    batchCount: 2,
    onFailure: async (failure) => void failures.push(failure),
  });
  t.like(summary, { inserted: 6, failed: 3, bytes: 85 });
  t.deepEqual(Object.fromEntries(summary.failures), {
    INVALID_ID: 1,
    DIMENSION_MISMATCH: 1,
    ALREADY_EXISTS: 1,
  });
  t.deepEqual(failures.map(({ row }) => row?.id ?? 'unreadable').sort(), [
    '0000',
    'short',
    'unreadable',
  ]);
});

test('the rule for ids that exist is handed on', async (t) => {
  const collection = await collectionOf(t);
  await load(asyncItems(items(5)), collection, { bytesTotal: 50 });
  const again = asyncItems([...items(5), ...items(2, 5)]);
  const summary = await load(again, collection, { bytesTotal: 70, onConflict: 'skip' });
  t.like(summary, { inserted: 2, skipped: 5, failed: 0 });
});

test('the signal stops the reading; what was read is done and counted', async (t) => {
  const controller = new AbortController();
  async function* interrupted() {
    yield* items(34);
    controller.abort();
    yield* items(1000, 34);
  }
  const collection = await collectionOf(t);
  const summary = await load(interrupted(), collection, {
    bytesTotal: 10_340,
    batchCount: 10,
    signal: controller.signal,
  });
  t.like(summary, { inserted: 34, failed: 0, bytes: 340 });
  t.is(summary.stoppedBy, undefined);
  t.is(await collection.count(), 34);
});

test('a store that takes nothing in stops the load, and what was read has failed', async (t) => {
  const store = await open(':memory:');
  const collection = await store.createCollection('rows', { dimension: 2 });
  const failures: LoadFailure[] = [];
  async function* closing() {
    yield* items(10);
    await store.close();
    yield* items(90, 10);
  }
  const summary = await load(closing(), collection, {
    bytesTotal: 1000,
    batchCount: 10,
    onFailure: async (failure) => void failures.push(failure),
  });
  t.is((summary.stoppedBy as { code?: string } | undefined)?.code, 'STORE_CLOSED');
  t.is(summary.failed, failures.length);
  t.true(summary.inserted + summary.failed < 100);
});

test('an input that breaks off keeps what was read before', async (t) => {
  async function* broken() {
    yield* items(15);
    throw new Error('the file ends at byte 7');
  }
  const collection = await collectionOf(t);
  const summary = await load(broken(), collection, { bytesTotal: 1000, batchCount: 10 });
  t.is(summary.inserted, 15);
  t.is(summary.stoppedBy?.message, 'the file ends at byte 7');
});

test('progress only grows and ends with all of the input', async (t) => {
  const seen: [number, number][] = [];
  const collection = await collectionOf(t);
  await load(asyncItems(items(55)), collection, {
    bytesTotal: 550,
    batchCount: 10,
    onProgress: ({ bytes, records }) => seen.push([bytes, records]),
  });
  t.deepEqual(seen.at(-1), [550, 55]);
  for (const place of [0, 1] as const) {
    const values = seen.map((report) => report[place]);
    t.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
  }
});

test('the file of failures is read again as the operations that failed', async (t) => {
  const path = join(await temporaryFolder(t), 'failures.ndjson');
  const file = new FailureFile(path);
  const error = { errorCode: 'OVERLOADED', errorMessage: 'later', retriable: true } as const;
  const rows: InsertRow[] = [
    { id: 'a', data: Float32Array.of(0.1, 2) },
    { id: 'b', text: 'line\nbreak', metadata: { k: [1, null] } },
  ];
  await Promise.all(rows.map((row) => file.add({ row, error })));
  await file.close();
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  t.deepEqual(lines.map(parseRow), rows as ReturnType<typeof parseRow>[]);
  t.deepEqual(JSON.parse(lines[0] ?? '').error, error);
});
