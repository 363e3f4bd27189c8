import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { connect } from '../src/client/index.js';
import { loadConfiguration, open, VolleyError } from '../src/index.js';
import { serve } from '../src/server/index.js';
import { temporaryDirectory } from './helpers/directory.js';

function file(t: ExecutionContext, text: string): string {
  const path = join(temporaryDirectory(t), 'volley.yaml');
  writeFileSync(path, text);
  return path;
}

const defaults = {
  maxBatchSize: 1000,
  maxMemoryUsageMb: 512,
  parallelWorkers: 4,
  chunkSize: 100,
  atomicByDefault: true,
  progressReporting: true,
  errorRetryAttempts: 3,
  errorRetryDelayMs: 100,
};

const environment = {};

test('without a configuration the defaults are those of the manual', async (t) => {
  const configuration = await loadConfiguration({ environment });
  t.deepEqual(configuration, { batchOperations: {}, embedders: [] });
  await using store = await open(':memory:', configuration);
  t.deepEqual(store.batchOperations, defaults);
});

test('code stands above the environment, that above the file, that above its preset', async (t) => {
  const path = file(t, 'batch_operations:\n  preset: development\n  chunk_size: 11\n');
  const { batchOperations } = await loadConfiguration({
    file: path,
    environment: { VOLLEY_CHUNK_SIZE: '22', VOLLEY_PARALLEL_WORKERS: '2', OTHER: '1' },
  });
  await using store = await open(':memory:', {
    batchOperations: { ...batchOperations, parallelWorkers: 3 },
  });
  t.like(store.batchOperations, { maxBatchSize: 100, chunkSize: 22, parallelWorkers: 3 });
});

const presets = [
  [
    'high-performance',
    {
      maxBatchSize: 10_000,
      maxMemoryUsageMb: 2048,
      parallelWorkers: 16,
      chunkSize: 1000,
      atomicByDefault: false,
    },
  ],
  ['memory-conscious', { maxMemoryUsageMb: 256, parallelWorkers: 2, progressReporting: false }],
  ['development', { maxBatchSize: 100, maxMemoryUsageMb: 128, parallelWorkers: 1, chunkSize: 10 }],
] as const;

for (const [preset, expected] of presets) {
  test(`the preset ${preset} sets its keys`, async (t) => {
    const { batchOperations } = await loadConfiguration({
      environment: { VOLLEY_PRESET: preset },
    });
    await using store = await open(':memory:', { batchOperations });
    t.deepEqual(store.batchOperations, { ...defaults, ...expected });
  });
}

const rows = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ id: `row ${n}`, data: [n + 1, 1] }));

test('chunk_size and parallel_workers act on streams', async (t) => {
  const path = file(t, 'batch_operations: {chunk_size: 7, parallel_workers: 2}');
  await using store = await open(':memory:', await loadConfiguration({ file: path, environment }));
  let inWork = 0;
  let most = 0;
  const collection = await store.createCollection('a', {
    embedder: {
      name: 'counting',
      version: '1',
      dimension: 2,
      embed: async (texts) => {
        inWork += 1;
        most = Math.max(most, inWork);
        // Time enough for the stream to begin whatever it may.
        for (let turn = 0; turn < 30; turn++) await collection.count();
        inWork -= 1;
        return texts.map(() => [1, 1]);
      },
    },
  });
  const texts = rows(50).map(({ id }) => ({ id, text: id }));
  const summary = await collection.insertStream(texts).summary;
  // 7, 14, 28 and the one that is left.
  t.is(summary.chunkCount, 4);
  t.is(most, 2);
  const even = await collection.insertStream(texts, { onConflict: 'replace', chunkSize: 20 })
    .summary;
  t.is(even.chunkCount, 3);
});

test('atomic_by_default acts on writes that do not say', async (t) => {
  const { batchOperations } = await loadConfiguration({
    environment: { VOLLEY_ATOMIC_BY_DEFAULT: 'false' },
  });
  await using store = await open(':memory:', { batchOperations });
  const collection = await store.createCollection('a', { dimension: 2 });
  const mixed = [...rows(2), { id: 'short', data: [1] }];
  t.like(await collection.insert(mixed), { status: 'partial', insertedCount: 2 });
  await t.throwsAsync(collection.insert(mixed, { atomic: true }), { instanceOf: VolleyError });
});

// The budget is the process's: nothing else may run.
test.serial('max_memory_usage_mb is the budget, and limits tell what is free of it', async (t) => {
  const path = file(t, 'batch_operations: {max_memory_usage_mb: 3, max_batch_size: 77}');
  await using store = await open(':memory:', await loadConfiguration({ file: path, environment }));
  const collection = await store.createCollection('a', { dimension: 1000 });
  const limits = await store.limits();
  t.deepEqual(limits.memoryBytesMax, { value: 3 * 1024 * 1024, unit: 'bytes' });
  t.is(limits.memoryFreeBytes?.value, 3 * 1024 * 1024);
  t.is(limits.maxBatchSize?.value, 77);
  const ids = Array.from({ length: 400 }, (_, n) => `row ${n}`);
  const data = new Float32Array(400 * 1000).fill(1);
  const error = await t.throwsAsync(collection.insert({ ids, data }), { instanceOf: VolleyError });
  t.is(error?.code, 'MEMORY_LIMIT_EXCEEDED');
  // A stream cuts the same rows to the budget.
  const source = ids.map((id, n) => ({ id, data: data.subarray(n * 1000, n * 1000 + 1000) }));
  t.is((await collection.insertStream(source).summary).insertedCount, 400);
});

test('progress_reporting acts on streams and on the table of batches', async (t) => {
  for (const [progressReporting, reports] of [
    ['true', true],
    ['false', false],
  ] as const) {
    const { batchOperations } = await loadConfiguration({
      environment: { VOLLEY_PROGRESS_REPORTING: progressReporting },
    });
    await using store = await open(':memory:', { batchOperations });
    const collection = await store.createCollection('a', { dimension: 2 });
    let told = 0;
    const onProgress = () => {
      told += 1;
    };
    await collection.insertStream(rows(5), { onProgress }).summary;
    t.is(told > 0, reports);
    const { batchId } = await collection.upsert(rows(1));
    const progress = await store.batch(batchId).catch((error: VolleyError) => error.code);
    if (reports) t.like(progress, { status: 'success', applied: 1 });
    else t.is(progress, 'NOT_FOUND');
  }
});

test('error_retry_attempts and error_retry_delay_ms act on embedders', async (t) => {
  const path = file(t, 'batch_operations: {error_retry_attempts: 1, error_retry_delay_ms: 0}');
  const { batchOperations } = await loadConfiguration({ file: path, environment });
  await using store = await open(':memory:', { batchOperations });
  let calls = 0;
  const collection = await store.createCollection('a', {
    embedder: {
      name: 'flaky',
      version: '1',
      dimension: 2,
      embed: async (texts) => {
        calls += 1;
        if (calls % 3 !== 0) throw new Error('busy');
        return texts.map(() => [1, 1]);
      },
    },
  });
  const error = await t.throwsAsync(collection.insert([{ id: 'a', text: 'a' }]), {
    instanceOf: VolleyError,
  });
  t.like(error, { code: 'EMBEDDING_FAILED', retriable: true, details: { attempts: 2 } });
  t.is((await collection.insert([{ id: 'a', text: 'a' }])).insertedCount, 1);
  t.is(calls, 3);
});

test('error_retry_delay_ms is the pause: without one, many tries take no time', async (t) => {
  const { batchOperations } = await loadConfiguration({
    environment: { VOLLEY_ERROR_RETRY_ATTEMPTS: '40', VOLLEY_ERROR_RETRY_DELAY_MS: '0' },
  });
  await using store = await open(':memory:', { batchOperations });
  const collection = await store.createCollection('a', {
    embedder: {
      name: 'broken',
      version: '1',
      dimension: 2,
      embed: async () => {
        throw new Error('busy');
      },
    },
  });
  // With the default's pauses, which double, this would be a matter of many minutes.
  const result = await collection.insert([{ id: 'a', text: 'a' }], { onError: 'collect' });
  t.is(result.errors[0]?.attempts, 41);
});

test('max_batch_size binds calls on served doors, not in this process', async (t) => {
  const path = file(t, 'batch_operations: {max_batch_size: 3}');
  await using store = await open(':memory:', await loadConfiguration({ file: path, environment }));
  const collection = await store.createCollection('a', { dimension: 2 });
  const server = await serve(store, { rest: 0 });
  t.teardown(() => server.close());
  await using remote = await connect(server.rest ?? '');
  const served = await remote.collection('a');
  t.is((await served.insert(rows(3))).insertedCount, 3);
  const error = await t.throwsAsync(served.upsert(rows(4)), { instanceOf: VolleyError });
  t.like(error, { code: 'BATCH_TOO_LARGE', details: { limit: 3, actual: 4 } });
  t.is((await collection.upsert(rows(4))).insertedCount, 4);
});

const refusals: [string, string, RegExp][] = [
  ['an unknown key', 'batch_operations: {chunks: 1}', /no key chunks/],
  ['a list for keys', 'batch_operations: [1]', /keys and values/],
  ['no YAML', 'batch_operations: {', /no YAML/],
  ['an unknown kind of embedder', 'embedders: {a: {kind: magic}}', /expected openai/],
  ['an unknown key of an embedder', 'embedders: {a: {kind: openai, key: x}}', /no key key/],
];

for (const [title, text, message] of refusals) {
  test(`${title} in the file is refused`, async (t) => {
    const loading = loadConfiguration({ file: file(t, text), environment });
    const error = await t.throwsAsync(loading, { instanceOf: VolleyError, message });
    t.is(error?.code, 'INVALID_ARGUMENT');
  });
}

test('bad values are refused by the engine, from wherever they come', async (t) => {
  for (const [variable, text] of [
    ['VOLLEY_CHUNK_SIZE', '0'],
    ['VOLLEY_ATOMIC_BY_DEFAULT', '1'],
    ['VOLLEY_PRESET', 'fast'],
  ] as const) {
    const configuration = await loadConfiguration({ environment: { [variable]: text } });
    const opening = open(':memory:', configuration);
    const error = await t.throwsAsync(opening, { instanceOf: VolleyError });
    t.is(error?.code, 'INVALID_ARGUMENT');
    t.regex(String(error?.details.field), /^batch_operations\./);
  }
  const loading = loadConfiguration({ environment: { VOLLEY_CHUNK_SIZE: 'ten' } });
  t.is((await t.throwsAsync(loading, { instanceOf: VolleyError }))?.code, 'INVALID_ARGUMENT');
});
