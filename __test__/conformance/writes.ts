import type { Operation } from '../../src/index.js';
import { plain } from '../helpers/records.js';
import { codes, NAME, row, scenario, statuses } from './scenario.js';
import type { OpenSurface } from './surface.js';

const BEST_EFFORT = { atomic: false, outcomes: 'all' } as const;

/** Insert, update, delete and mixed batches. */
export function writes(open: OpenSurface): void {
  inserts(open);
  updates(open);
  deletes(open);
  mixed(open);
  batches(open);
  retries(open);
}

function retries(open: OpenSurface): void {
  scenario(open, 'the same request with the same key is done once', async (t, surface) => {
    const options = { idempotencyKey: 'once', outcomes: 'all' } as const;
    const first = await surface.insert(NAME, [row('a'), row('b')], options);
    t.like(first, { status: 'success', insertedCount: 2, replayed: false });
    const again = await surface.insert(NAME, [row('a'), row('b')], options);
    t.true(again.replayed);
    // The batch may have come further since: a replay tells the level of now.
    const { reached } = first;
    t.deepEqual(
      { ...again, reached, replayed: false, processingTimeMs: 0 },
      { ...first, processingTimeMs: 0 },
    );
    t.is(await surface.count(NAME), 2);
  });

  scenario(open, 'a reply says no more than has happened', async (t, surface) => {
    const preview = await surface.insert(NAME, [row('a')], { validateOnly: true });
    t.is(preview.reached, 'received');
    const failed = await surface.insert(NAME, [{ id: 'short', data: [1] }], { atomic: false });
    t.is(failed.reached, 'received');
    t.is((await surface.insert(NAME, [row('a')])).reached, 'applied');
  });

  scenario(open, 'a key is refused for another request, in any verb', async (t, surface) => {
    await surface.insert(NAME, [row('a')], { idempotencyKey: 'k' });
    await t.throwsAsync(surface.insert(NAME, [row('b')], { idempotencyKey: 'k' }), {
      code: 'IDEMPOTENCY_MISMATCH',
    });
    await t.throwsAsync(surface.delete(NAME, ['a'], { idempotencyKey: 'k' }), {
      code: 'IDEMPOTENCY_MISMATCH',
    });
    t.is(await surface.count(NAME), 1);
  });

  scenario(open, 'a partial batch is replayed with its errors', async (t, surface) => {
    const options = { idempotencyKey: 'k', atomic: false } as const;
    const rows = [row('a'), { id: 'short', data: [1] }];
    const first = await surface.insert(NAME, rows, options);
    const again = await surface.insert(NAME, rows, options);
    t.true(again.replayed);
    t.deepEqual(again.errors, first.errors);
    t.deepEqual(codes(again.errors), [[1, 'DIMENSION_MISMATCH']]);
  });

  scenario(open, 'a batch that commits nothing leaves its key free', async (t, surface) => {
    const options = { idempotencyKey: 'k' };
    await surface.delete(NAME, ['nobody'], options);
    await surface.insert(NAME, [row('a')], { ...options, validateOnly: true });
    t.like(await surface.insert(NAME, [row('a')], options), { replayed: false, insertedCount: 1 });
  });
}

function inserts(open: OpenSurface): void {
  scenario(open, 'insert creates records, each with one outcome in order', async (t, surface) => {
    const result = await surface.insert(NAME, [row('b'), row('a')], { outcomes: 'all' });
    t.like(result, { status: 'success', insertedCount: 2, failedCount: 0, replayed: false });
    t.deepEqual(
      result.outcomes?.map(({ index, id, status }) => [index, id, status]),
      [
        [0, 'b', 'created'],
        [1, 'a', 'created'],
      ],
    );
    t.is(await surface.count(NAME), 2);
  });

  scenario(open, 'an atomic batch names every failure and applies nothing', async (t, surface) => {
    await surface.insert(NAME, [row('old')]);
    const result = await surface.insert(NAME, [
      row('new'),
      row('old'),
      { id: '', data: [1, 2] },
      { id: 'short', data: [1] },
      { id: 'zero', data: [0, 0] },
    ]);
    t.like(result, { status: 'failed', insertedCount: 0, failedCount: 5 });
    t.deepEqual(codes(result.errors), [
      [0, 'BATCH_ABORTED'],
      [1, 'ALREADY_EXISTS'],
      [2, 'INVALID_ID'],
      [3, 'DIMENSION_MISMATCH'],
      [4, 'INVALID_VECTOR'],
    ]);
    t.is(await surface.count(NAME), 1);
  });

  scenario(open, 'a best-effort batch applies what is good', async (t, surface) => {
    await surface.insert(NAME, [row('old')]);
    const rows = [row('a'), row('old'), { id: 'short', data: [1] }, row('b')];
    const result = await surface.insert(NAME, rows, BEST_EFFORT);
    t.like(result, { status: 'partial', insertedCount: 2, failedCount: 2 });
    t.deepEqual(statuses(result.outcomes), ['created', 'failed', 'failed', 'created']);
    t.deepEqual(codes(result.errors), [
      [1, 'ALREADY_EXISTS'],
      [2, 'DIMENSION_MISMATCH'],
    ]);
    t.is(result.errors[1]?.vectorId, 'short');
    t.is(await surface.count(NAME), 3);
  });

  scenario(open, 'a conflict may replace or skip', async (t, surface) => {
    await surface.insert(NAME, [row('a', { n: 1 })]);
    const skipped = await surface.insert(NAME, [row('a', { n: 2 })], {
      onConflict: 'skip',
      outcomes: 'all',
    });
    t.like(skipped, { status: 'success', insertedCount: 0, skippedCount: 1 });
    t.deepEqual((await surface.get(NAME, ['a']))[0]?.metadata, { n: 1 });
    const replaced = await surface.insert(NAME, [row('a', { m: 3 })], {
      onConflict: 'replace',
      outcomes: 'all',
    });
    t.deepEqual(statuses(replaced.outcomes), ['replaced']);
    t.is(replaced.insertedCount, 1);
    t.deepEqual((await surface.get(NAME, ['a']))[0]?.metadata, { m: 3 });
  });

  scenario(open, 'ids are kept to the byte', async (t, surface) => {
    const ids = ['é', 'e\u0301', ' a', 'a', '😀', '\u0000', 'x'.repeat(512)];
    await surface.insert(
      NAME,
      ids.map((id) => row(id)),
    );
    t.deepEqual(
      (await surface.get(NAME, ids)).map((record) => record?.id),
      ids,
    );
    const result = await surface.insert(NAME, [row('é'.repeat(257))]);
    t.like(result.errors[0], { errorCode: 'INVALID_ID', limit: 512, actual: 514, unit: 'bytes' });
  });

  scenario(open, 'metadata keeps its JSON types', async (t, surface) => {
    const metadata = {
      text: 'ü',
      whole: 3,
      part: 0.1,
      negative: -0.5,
      large: 2 ** 53,
      yes: true,
      nothing: null,
      list: [1, 'a', null, { deep: [] }],
      snake_case: { camelCase: {} },
    };
    await surface.insert(NAME, [row('a', metadata)]);
    t.deepEqual((await surface.get(NAME, ['a']))[0]?.metadata as unknown, metadata);
  });
}

function updates(open: OpenSurface): void {
  scenario(open, 'an update merges metadata and keeps what it leaves out', async (t, surface) => {
    await surface.insert(NAME, [{ ...row('a', { n: 1, gone: true, in: { x: 1 } }), text: 't' }]);
    const result = await surface.update(NAME, [
      { id: 'a', metadata: { gone: null, in: { y: 2 } } },
    ]);
    t.like(result, { status: 'success', updatedCount: 1 });
    const [record] = await surface.get(NAME, ['a'], ['metadata', 'text', 'data']);
    t.deepEqual(record?.metadata, { n: 1, in: { x: 1, y: 2 } });
    t.is(record?.text, 't');
    t.deepEqual([...(record?.data ?? [])], [1, 2]);
  });

  scenario(open, 'an update may replace metadata, and data clears text', async (t, surface) => {
    await surface.insert(NAME, [{ ...row('a', { n: 1 }), text: 't' }]);
    await surface.update(NAME, [{ id: 'a', data: [3, 4], metadata: { m: 2 } }], {
      metadataMode: 'replace',
    });
    const [record] = await surface.get(NAME, ['a'], ['metadata', 'text', 'data']);
    t.deepEqual(record?.metadata, { m: 2 });
    t.is(record?.text, undefined);
    t.deepEqual([...(record?.data ?? [])], [3, 4]);
  });

  scenario(open, 'an update of nothing fails', async (t, surface) => {
    const result = await surface.update(NAME, [{ id: 'a', metadata: {} }], BEST_EFFORT);
    t.like(result, { status: 'failed', updatedCount: 0, failedCount: 1 });
    t.deepEqual(codes(result.errors), [[0, 'NOT_FOUND']]);
  });
}

function deletes(open: OpenSurface): void {
  scenario(open, 'delete removes, and says what was missing', async (t, surface) => {
    await surface.insert(NAME, [row('a'), row('b')]);
    const failed = await surface.delete(NAME, ['a', 'x']);
    t.like(failed, { status: 'failed', deletedCount: 0, failedCount: 2 });
    t.is(await surface.count(NAME), 2);
    const result = await surface.delete(NAME, ['a', 'x'], { missing: 'ignore' });
    t.like(result, { status: 'success', deletedCount: 1, skippedCount: 1 });
    t.deepEqual(plain(await surface.get(NAME, ['a', 'b'])), [null, { id: 'b', metadata: {} }]);
    const { batchResults } = await surface.search(NAME, [{ queryVector: [1, 2] }]);
    t.deepEqual(
      batchResults[0]?.results.map(({ id }) => id),
      ['b'],
    );
  });
}

function mixed(open: OpenSurface): void {
  scenario(open, 'a later operation of a mixed batch sees an earlier one', async (t, surface) => {
    const result = await surface.write(
      NAME,
      [
        { op: 'insert', id: 'a', data: [1, 2], metadata: { n: 1 } },
        { op: 'update', id: 'a', metadata: { m: 2 } },
        { op: 'insert', id: 'b', data: [1, 2] },
        { op: 'delete', id: 'b' },
        { op: 'insert', id: 'a', data: [3, 4], onConflict: 'skip' },
      ],
      { outcomes: 'all' },
    );
    t.like(result, { insertedCount: 2, updatedCount: 1, deletedCount: 1, skippedCount: 1 });
    t.deepEqual(plain(await surface.list(NAME)), [{ id: 'a', metadata: { n: 1, m: 2 } }]);
  });

  scenario(open, 'ifVersion holds for the version that last wrote', async (t, surface) => {
    const { sequence } = await surface.insert(NAME, [row('a')]);
    t.is((await surface.get(NAME, ['a']))[0]?.version, sequence);
    const change = (ifVersion: number): Operation[] => [
      { op: 'update', id: 'a', metadata: { n: ifVersion }, ifVersion },
    ];
    const stale = await surface.write(NAME, change(sequence + 1));
    t.deepEqual(codes(stale.errors), [[0, 'CONDITION_FAILED']]);
    const { status } = await surface.write(NAME, change(sequence));
    t.is(status, 'success');
  });

  scenario(open, 'a group lands together or not at all', async (t, surface) => {
    await surface.insert(NAME, [row('old')]);
    const insert = (id: string, group: string) =>
      ({ op: 'insert', id, data: [1, 2], group }) as const;
    const result = await surface.write(
      NAME,
      [insert('a', 'one'), insert('old', 'one'), insert('b', 'two'), insert('c', 'two')],
      { atomic: false },
    );
    t.like(result, { status: 'partial', insertedCount: 2, failedCount: 2 });
    t.deepEqual(codes(result.errors), [
      [0, 'BATCH_ABORTED'],
      [1, 'ALREADY_EXISTS'],
    ]);
    t.deepEqual(await surface.get(NAME, ['a']), [null]);
    await t.throwsAsync(surface.write(NAME, [insert('d', 'three')]), {
      code: 'INVALID_ARGUMENT',
    });
  });
}

function batches(open: OpenSurface): void {
  scenario(open, 'an id stands twice only where that is asked for', async (t, surface) => {
    const rows = [row('a', { n: 1 }), row('a', { n: 2 })];
    const rejected = await surface.insert(NAME, rows);
    t.deepEqual(codes(rejected.errors), [
      [0, 'BATCH_ABORTED'],
      [1, 'DUPLICATE_ID'],
    ]);
    const result = await surface.insert(NAME, rows, { duplicates: 'last_wins', outcomes: 'all' });
    t.deepEqual(statuses(result.outcomes), ['skipped', 'created']);
    t.deepEqual((await surface.get(NAME, ['a']))[0]?.metadata, { n: 2 });
  });

  scenario(open, 'validateOnly replies as always and writes nothing', async (t, surface) => {
    const result = await surface.insert(NAME, [row('a')], { validateOnly: true, outcomes: 'all' });
    t.deepEqual(statuses(result.outcomes), ['created']);
    t.is(await surface.count(NAME), 0);
  });

  scenario(open, "a batch over the caller's own cap is refused whole", async (t, surface) => {
    await t.throwsAsync(surface.insert(NAME, [row('a'), row('b')], { batchSizeLimit: 1 }), {
      code: 'BATCH_TOO_LARGE',
    });
    t.is(await surface.count(NAME), 0);
  });

  scenario(open, 'an empty batch succeeds', async (t, surface) => {
    const result = await surface.insert(NAME, []);
    t.like(result, { status: 'success', insertedCount: 0, failedCount: 0 });
  });

  scenario(open, 'unknown values and collections are refused', async (t, surface) => {
    await t.throwsAsync(surface.insert(NAME, [row('a')], { waitFor: 'soon' as never }), {
      code: 'INVALID_ARGUMENT',
    });
    await t.throwsAsync(surface.insert('none', [row('a')]), { code: 'COLLECTION_NOT_FOUND' });
    await t.throwsAsync(surface.createCollection(NAME, { dimension: 2 }), {
      code: 'COLLECTION_EXISTS',
    });
    await t.throwsAsync(surface.createCollection('-a', { dimension: 2 }), {
      code: 'INVALID_ARGUMENT',
    });
    t.deepEqual(await surface.collections(), [NAME]);
    await surface.dropCollection(NAME);
    t.deepEqual(await surface.collections(), []);
  });
}
