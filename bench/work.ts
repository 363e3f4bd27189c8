import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Collection, JsonObject } from '../src/index.js';
import { type Dataset, K } from './data.js';
import { median } from './machine.js';

/** Metadata of a usual size: some 250 bytes, eight fields. */
export interface Attributes extends JsonObject {
  title: string;
  section: string;
  language: string;
  year: number;
  score: number;
  tags: string[];
  checked: boolean;
  revision: number;
}

/** The attributes of a row. */
export function attributes(row: number, revision = 0): Attributes {
  return {
    title: `Document number ${row}, with a title of usual length for its kind`,
    section: `section-${row % 40}`,
    language: ['en', 'de', 'fr', 'pt'][row % 4] as string,
    year: 1990 + (row % 35),
    score: (row % 1000) / 1000,
    tags: [`tag-${row % 7}`, `tag-${row % 11}`, 'all'],
    checked: row % 2 === 0,
    revision,
  };
}

export type Records = Collection<Attributes>;

/** The id of a row. */
export function idOf(row: number): string {
  return `row-${row}`;
}

/** Rows `from` to `to` as columns. */
export function columns(data: Dataset, from: number, to: number): Columns {
  const rows = Array.from({ length: to - from }, (_, place) => from + place);
  return {
    ids: rows.map(idOf),
    data: data.base.subarray(from * data.dimension, to * data.dimension),
    metadata: rows.map((row) => attributes(row)),
  };
}

/** A batch of rows as columns. */
export interface Columns {
  ids: string[];
  data: Float32Array;
  metadata: Attributes[];
}

/** Runs `count` calls, at most `width` at the same time, and returns the time of each in ms. */
export async function inFlight(
  count: number,
  width: number,
  call: (index: number) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      const began = performance.now();
      await call(index);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
  return times;
}

/** Seconds that something takes. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

export interface SearchPoint {
  readonly efSearch: number;
  readonly recall: number;
  readonly rate: number;
}

/** Recall@10 and queries per second in batches of 100, two batches at a time. */
export async function searchPoint(
  records: Records,
  data: Dataset,
  efSearch: number,
  rounds: number,
): Promise<SearchPoint> {
  const batch = 100;
  const batches = Math.floor(data.queryCount / batch);
  const rates = [];
  let hits = 0;
  for (let round = 0; round < rounds; round++) {
    hits = 0;
    const elapsed = await seconds(() =>
      inFlight(batches, 2, async (index) => {
        const from = index * batch * data.dimension;
        const queryVectors = data.queries.subarray(from, from + batch * data.dimension);
        const options = { limit: K, efSearch, include: [] };
        const found = await records.search({ queryVectors }, options);
        found.batchResults.forEach((result, place) => {
          const query = index * batch + place;
          const truth = data.nearest.subarray(query * K, (query + 1) * K);
          for (const match of result.results) {
            if (truth.includes(Number(match.id.slice(4)))) hits++;
          }
        });
      }),
    );
    rates.push((batches * batch) / elapsed);
  }
  return { efSearch, recall: hits / (batches * batch * K), rate: median(rates) };
}

/** Starts a call with each batch at fixed times; returns the latencies in ms. */
export async function latenciesAtRate(
  batches: readonly Columns[],
  rowsPerSecond: number,
  call: (batch: Columns) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  const running: Promise<void>[] = [];
  let due = performance.now();
  for (const batch of batches) {
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // Counted from when the batch was due: a late start is the system's delay, not its merit.
    const from = due;
    running.push(call(batch).then(() => void times.push(performance.now() - from)));
    due += (1000 / rowsPerSecond) * batch.ids.length;
  }
  await Promise.all(running);
  return times;
}

/** The times in ms of so many searches of `size` queries, one after another. */
export async function searchTimes(
  records: Records,
  data: Dataset,
  size: number,
  count: number,
): Promise<number[]> {
  return await inFlight(count, 1, (index) => {
    const from = ((index * size) % (data.queryCount - size + 1)) * data.dimension;
    const queryVectors = data.queries.subarray(from, from + size * data.dimension);
    return records.search({ queryVectors }, { limit: K, include: [] });
  });
}

/** The 99th percentile of the event loop's delay while something runs, in ms. */
export async function loopDelay(work: () => Promise<unknown>): Promise<number> {
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  monitor.enable();
  await work();
  monitor.disable();
  return monitor.percentile(99) / 1e6;
}
