/**
 * `npm run bench`: what Volley does on this machine, durable, in the process, from JavaScript.
 * Every rate stands beside the recall or the count that proves the work was done.
 *
 *   VOLLEY_BENCH_DATA=<folder>   real embeddings beside the generated ones (see data.ts)
 *   npm run bench -- --rows 20000   fewer generated rows (default 100,000)
 *   npm run bench -- --only real    one part: real, 384, 768, parts, streams or memory
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { open } from '../src/index.js';
import { type Dataset, generatedDataset, realDataset } from './data.js';
import { anonymousMemory, machine, median, percentile } from './machine.js';
import { measureParts } from './parts.js';
import { amount, line, print, rate } from './report.js';
import { measureStreamMemory } from './stream-memory.js';
import { measureStreams } from './streams.js';
import * as work from './work.js';

const BATCH = 1000;
/** So that the default streams 10 GB for the memory. */
const STREAMED_BYTES_EACH = 102_400;
const EF_SWEEP = [16, 24, 32, 48, 64, 96, 128, 200];

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    folder: { type: 'string' },
    only: { type: 'string' },
  },
});
const rows = Number(flags.rows);
const folder = mkdtempSync(join(flags.folder ?? tmpdir(), 'volley-bench-'));

try {
  machine(folder).forEach(print);
  const wanted = (name: string) => flags.only === undefined || flags.only === name;
  const real = wanted('real') ? realDataset() : undefined;
  if (real !== undefined) await measure(real);
  for (const dimension of [384, 768]) {
    if (wanted(String(dimension))) await measure(generatedDataset(rows, dimension, 500));
  }
  if (wanted('parts')) measureParts();
  if (wanted('streams')) await measureStreams(folder, rows);
  if (wanted('memory')) await measureStreamMemory(folder, rows * STREAMED_BYTES_EACH);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(data: Dataset): Promise<void> {
  print(`\n${data.name}: ${amount(data.count)} x ${data.dimension}, durable`);
  const path = join(folder, `store-${data.dimension}-${data.count}`);
  const built = await open(path);
  const insertRate = await measureInsert(
    await built.createCollection<work.Attributes>('records', { dimension: data.dimension }),
    data,
  );
  const closing = await work.seconds(() => built.close());
  line('close, with a checkpoint', `${closing.toFixed(2)} s`);
  measureReopening(path);

  const store = await open(path);
  const records: work.Records = await store.collection<work.Attributes>('records');
  await measureSearch(records, data);
  await measureUpdates(records, data);
  const deleted = deletedBatches(data);
  await measureDeletes(records, deleted);
  await measureLatency(records, deleted, insertRate);
  await measureSearchBesideInserts(records, data, deleted);
  const scratch = await store.createCollection<work.Attributes>('scratch', {
    dimension: data.dimension,
  });
  await measureSingleCalls(scratch, data);
  await store.close();
}

async function measureInsert(records: work.Records, data: Dataset): Promise<number> {
  const batches = Math.floor(data.count / BATCH);
  // Prepared beforehand, so that the clock sees Volley and not the making of test data.
  const prepared = Array.from({ length: batches }, (_, index) =>
    work.columns(data, index * BATCH, (index + 1) * BATCH),
  );
  const before = anonymousMemory();
  let elapsed = 0;
  const delay = await work.loopDelay(async () => {
    elapsed = await work.seconds(async () => {
      await work.inFlight(batches, 8, (index) => {
        const columns = prepared[index];
        return columns === undefined ? Promise.resolve() : records.insert(columns);
      });
      await records.indexed();
    });
  });
  const inserted = batches * BATCH;
  const count = await records.count();
  const counted = `${amount(count)} records counted`;
  line('insert until indexed, batches of 1,000', rate(inserted, elapsed), counted);
  line('event loop delay meanwhile, p99', `${delay.toFixed(1)} ms`);
  const { folds } = await records.info();
  const phases = ['leaders', 'route', 'leaf', 'forward', 'reverse'] as const;
  const shares = phases.map((phase) => `${phase} ${amount(folds[`${phase}Ms`])}`);
  const perBlock = `${amount(folds.rows / folds.blocks)} rows`;
  line('folds, each of', perBlock, `ms: ${shares.join(', ')}`);
  const after = anonymousMemory();
  if (before !== undefined && after !== undefined) {
    const each = (after - before) / inserted;
    const beside = 'a record, with ids, metadata values and what the building left';
    line('anonymous memory', `${amount(each)} B`, beside);
  }
  return inserted / elapsed;
}

/** In a process of its own, which holds nothing that building left behind. */
function measureReopening(path: string): void {
  const script = fileURLToPath(new URL('reopen.ts', import.meta.url));
  const flags = ['--expose-gc', '--import=tsx', script, path, 'records'];
  const child = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`reopening failed: ${child.stderr}`);
  const { seconds, count, bytes } = JSON.parse(child.stdout);
  line('open again, in a new process', `${seconds.toFixed(2)} s`, `${amount(count)} records`);
  if (bytes === null) return;
  const each = `${amount(bytes / count)} B`;
  line('anonymous memory there', each, 'a record, with ids and metadata values');
}

async function measureSearch(records: work.Records, data: Dataset): Promise<void> {
  await work.searchPoint(records, data, 64, 1);
  for (const efSearch of EF_SWEEP) {
    const point = await work.searchPoint(records, data, efSearch, 3);
    const recall = `recall@10 ${point.recall.toFixed(4)}`;
    line(`search, batches of 100, ef_search ${efSearch}`, rate(1, 1 / point.rate), recall);
  }
}

async function measureUpdates(records: work.Records, data: Dataset): Promise<void> {
  const inserted = Math.floor(data.count / BATCH) * BATCH;
  const batches = Math.min(50, inserted / BATCH);
  const ids = (index: number) =>
    Array.from({ length: BATCH }, (_, place) => (index * BATCH + place * 37) % inserted);
  const patches = Array.from({ length: batches }, (_, index) =>
    ids(index).map((row) => ({ id: work.idOf(row), metadata: { revision: index + 1 } })),
  );
  let updated = 0;
  const elapsed = await work.seconds(() =>
    work.inFlight(batches, 8, async (index) => {
      const result = await records.update(patches[index] ?? [], { duplicates: 'last_wins' });
      updated += result.updatedCount;
    }),
  );
  line('metadata-only update, 8 in flight', rate(updated, elapsed), `${updated} updated`);
  const moves = Math.min(20, batches);
  let moved = 0;
  const movedIn = await work.seconds(async () => {
    await work.inFlight(moves, 4, async (index) => {
      const columns = work.columns(data, index * BATCH, (index + 1) * BATCH);
      const result = await records.update({ ids: columns.ids, data: columns.data });
      moved += result.updatedCount;
    });
    await records.indexed();
  });
  line('update with vectors, until indexed', rate(moved, movedIn), `${amount(moved)} updated`);
}

async function measureDeletes(
  records: work.Records,
  batches: readonly work.Columns[],
): Promise<void> {
  let deleted = 0;
  const elapsed = await work.seconds(async () => {
    deleted = await deleteAll(records, batches);
  });
  const left = `${amount(await records.count())} records left`;
  line('delete, 8 in flight', rate(deleted, elapsed), `${amount(deleted)} deleted, ${left}`);
}

/** The records that were deleted come back, in batches at fixed times. */
async function measureLatency(
  records: work.Records,
  batches: readonly work.Columns[],
  insertRate: number,
): Promise<void> {
  await records.indexed();
  const before = await records.count();
  const times = await work.latenciesAtRate(batches, insertRate / 2, (batch) =>
    records.insert(batch),
  );
  const offered = `offered at ${amount(insertRate / 2)}/s`;
  const inserted = `${amount((await records.count()) - before)} inserted`;
  line(
    'acknowledgement of 1,000 operations, p95',
    `${percentile(times, 0.95).toFixed(0)} ms`,
    `median ${median(times).toFixed(0)} ms, ${offered}, ${inserted}`,
  );
  await records.indexed();
}

/** How long searches take alone, and while the deleted records come back at full speed. */
async function measureSearchBesideInserts(
  records: work.Records,
  data: Dataset,
  batches: readonly work.Columns[],
): Promise<void> {
  for (const size of [100, 1]) {
    await deleteAll(records, batches);
    await records.indexed();
    const alone = percentile(await work.searchTimes(records, data, size, 300), 0.99);
    let running = true;
    const inserts = work
      .inFlight(batches.length, 8, (index) => records.insert(batches[index] as work.Columns))
      .then(() => records.indexed())
      .finally(() => {
        running = false;
      });
    const times: number[] = [];
    while (running) times.push(...(await work.searchTimes(records, data, size, 5)));
    await inserts;
    const beside = percentile(times, 0.99);
    const ratio = `${(beside / alone).toFixed(1)} times ${alone.toFixed(1)} ms alone`;
    const name = size === 1 ? 'one query' : `${size} queries`;
    const counted = `${amount(times.length)} searches`;
    line(`search beside inserts, ${name}, p99`, `${beside.toFixed(1)} ms`, `${ratio}; ${counted}`);
  }
}

function deletedBatches(data: Dataset): work.Columns[] {
  const count = Math.min(40, Math.floor(data.count / BATCH / 2));
  const batch = (index: number) => work.columns(data, index * BATCH, (index + 1) * BATCH);
  return Array.from({ length: count }, (_, index) => batch(index));
}

async function deleteAll(records: work.Records, batches: readonly work.Columns[]): Promise<number> {
  let deleted = 0;
  await work.inFlight(batches.length, 8, async (index) => {
    const result = await records.delete(batches[index]?.ids ?? []);
    deleted += result.deletedCount;
  });
  return deleted;
}

async function measureSingleCalls(scratch: work.Records, data: Dataset): Promise<void> {
  const row = (index: number) => ({
    id: `single-${index}`,
    data: data.base.subarray(index * data.dimension, (index + 1) * data.dimension),
    metadata: work.attributes(index),
  });
  const one = (offset: number) => (index: number) => scratch.insert([row(offset + index)]);
  const sequential = await work.seconds(() => work.inFlight(BATCH, 1, one(0)));
  const concurrent = await work.seconds(() => work.inFlight(BATCH, 64, one(BATCH)));
  const times = [];
  for (let round = 2; round < 7; round++) {
    const batch = work.columns(data, round * BATCH, (round + 1) * BATCH);
    times.push(await work.seconds(() => scratch.insert(batch)));
  }
  const batched = times.sort((a, b) => a - b)[2] ?? Number.NaN;
  const count = `${await scratch.count()} records counted`;
  line('one batch of 1,000', `${(batched * 1000).toFixed(1)} ms`, count);
  const ratio = (other: number) => `${(other / batched).toFixed(1)} times the batch`;
  line(
    '1,000 single inserts, one after another',
    `${(sequential * 1000).toFixed(0)} ms`,
    ratio(sequential),
  );
  line(
    '1,000 single inserts, 64 at once',
    `${(concurrent * 1000).toFixed(0)} ms`,
    ratio(concurrent),
  );
}
