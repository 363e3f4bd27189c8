import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { FailureFile } from '../../src/cli/failure-file.js';
import type { ImportItem } from '../../src/cli/input/row.js';
import { parseRow } from '../../src/cli/input/row.js';
import { type LoadFailure, load } from '../../src/cli/load.js';
import {
  type InsertResult,
  type InsertRow,
  type OperationError,
  VolleyError,
} from '../../src/index.js';
import { temporaryFolder } from './helpers/temporary-folder.js';

function* items(count: number, from = 0): Generator<ImportItem> {
  for (let i = from; i < from + count; i += 1) {
    yield { row: { id: String(i), text: `text ${i}` }, bytes: 10 };
  }
}

async function* asyncItems(all: Iterable<ImportItem>): AsyncGenerator<ImportItem> {
  yield* all;
}

/** What an insert answers where the rows with these ids fail. */
function answer(
  rows: readonly InsertRow[],
  failing: ReadonlySet<string> = new Set(),
): InsertResult {
  const errors = rows.flatMap(({ id }, index): OperationError[] => {
    if (!failing.has(id)) return [];
    const failure = { errorCode: 'INVALID_VECTOR', errorMessage: 'no', retriable: false } as const;
    return [{ index, operationId: String(index), vectorId: id, ...failure }];
  });
  return {
    status: errors.length === 0 ? 'success' : 'partial',
    insertedCount: rows.length - errors.length,
    failedCount: errors.length,
    skippedCount: 0,
    unchangedCount: 0,
    errors,
    sequence: 1,
    reached: 'applied',
    replayed: false,
    batchId: 'b',
    processingTimeMs: 0,
  };
}

test('every row is sent once, in order, in batches of the count asked for', async (t) => {
  const sent: string[][] = [];
  const summary = await load(asyncItems(items(25)), {
    insert: async (rows) => {
      sent.push(rows.map(({ id }) => id));
      return answer(rows);
    },
    bytesTotal: 250,
    batchCount: 10,
  });
  t.deepEqual(
    sent.map(({ length }) => length),
    [10, 10, 5],
  );
  t.deepEqual(
    sent.flat(),
    Array.from({ length: 25 }, (_, i) => String(i)),
  );
  t.is(summary.inserted, 25);
  t.is(summary.bytes, 250);
  t.is(summary.batches, 3);
});

test('batches are cut by bytes as well', async (t) => {
  const big = Array.from({ length: 5 }, (_, i): ImportItem => {
    return { row: { id: String(i), data: new Float32Array(1024 * 1024) }, bytes: 1 };
  });
  const sizes: number[] = [];
  await load(asyncItems(big), {
    insert: async (rows) => {
      sizes.push(rows.length);
      return answer(rows);
    },
    bytesTotal: 5,
  });
  t.deepEqual(sizes, [2, 2, 1]);
});

test('the input is not read on while three batches wait for an answer', async (t) => {
  let read = 0;
  async function* counted() {
    for (const item of items(100)) {
      read += 1;
      yield item;
    }
  }
  const waiting: (() => void)[] = [];
  const done = load(counted(), {
    insert: async (rows) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return answer(rows);
    },
    bytesTotal: 1000,
    batchCount: 10,
  });
  await setImmediate();
  t.is(waiting.length, 3);
  t.is(read, 30);
  waiting.shift()?.();
  await setImmediate();
  t.is(read, 40);
  const release = setInterval(() => waiting.shift()?.());
  t.is((await done).inserted, 100);
  clearInterval(release);
});

test('failed operations and unreadable rows are counted by code; the others go on', async (t) => {
  const problem = { errorCode: 'INVALID_ID', errorMessage: 'bad', path: 'f', line: 2 } as const;
  const failures: LoadFailure[] = [];
  const input = [...items(3), { problem, bytes: 5 }, ...items(3, 3)];
  const summary = await load(asyncItems(input), {
    insert: async (rows) => answer(rows, new Set(['1', '4'])),
    bytesTotal: 65,
    batchCount: 2,
    onFailure: async (failure) => {
      failures.push(failure);
    },
  });
  t.is(summary.inserted, 4);
  t.is(summary.failed, 3);
  t.is(summary.bytes, 65);
  t.deepEqual(Object.fromEntries(summary.failures), { INVALID_ID: 1, INVALID_VECTOR: 2 });
  t.deepEqual(failures.map(({ row }) => row?.id ?? 'unreadable').sort(), ['1', '4', 'unreadable']);
});

test('the signal stops the reading; batches in flight are finished and counted', async (t) => {
  const controller = new AbortController();
  let sent = 0;
  const summary = await load(asyncItems(items(1000)), {
    insert: async (rows) => {
      sent += 1;
      if (sent === 3) controller.abort();
      await setImmediate();
      return answer(rows);
    },
    bytesTotal: 10_000,
    batchCount: 10,
    signal: controller.signal,
  });
  t.is(sent, 3);
  t.is(summary.inserted, 30);
});

test('a batch that is refused as a whole stops the load, and its operations have failed', async (t) => {
  const failures: LoadFailure[] = [];
  const summary = await load(asyncItems(items(100)), {
    insert: async (rows) => {
      if (rows[0]?.id !== '0') throw new VolleyError('STORE_POISONED', 'the disk is full');
      return answer(rows);
    },
    bytesTotal: 1000,
    batchCount: 10,
    onFailure: async (failure) => {
      failures.push(failure);
    },
  });
  t.is(summary.inserted, 10);
  t.is(summary.stoppedBy?.message, 'the disk is full');
  t.is(summary.failed, failures.length);
  t.is(summary.failed % 10, 0);
  t.is(failures[0]?.error.errorCode, 'STORE_POISONED');
});

test('an input that breaks off keeps what was read before', async (t) => {
  async function* broken() {
    yield* items(15);
    throw new Error('the file ends at byte 7');
  }
  const summary = await load(broken(), {
    insert: async (rows) => answer(rows),
    bytesTotal: 1000,
    batchCount: 10,
  });
  t.is(summary.inserted, 10);
  t.is(summary.stoppedBy?.message, 'the file ends at byte 7');
});

test('progress only grows and ends with all of the input', async (t) => {
  const seen: number[] = [];
  await load(asyncItems(items(55)), {
    insert: async (rows) => answer(rows),
    bytesTotal: 550,
    batchCount: 10,
    onProgress: ({ bytes }) => seen.push(bytes),
  });
  t.deepEqual(seen, [100, 200, 300, 400, 500, 550]);
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
