import { performance } from 'node:perf_hooks';
import {
  type Collection,
  type InsertRow,
  type SearchQuery,
  type SearchResult,
  type Store,
  VolleyError,
} from '../../index.js';

/** The same work done one call at a time and as one batch, in milliseconds. */
export interface Comparison {
  readonly count: number;
  readonly singleMs: number;
  readonly batchMs: number;
}

const SEARCH_ROUNDS = 9;

/** Inserts the same rows one call at a time, then as one batch, each into a new collection. */
export async function compareInserts(
  store: Store,
  rows: InsertRow[],
  signal: AbortSignal,
): Promise<Comparison> {
  const singleMs = await withScratch(store, 'demo.single', async (scratch) => {
    for (const row of rows) if (!signal.aborted) await scratch.insert([row]);
  });
  const batchMs = await withScratch(store, 'demo.batch', (scratch) => scratch.insert(rows));
  return { count: rows.length, singleMs, batchMs };
}

async function withScratch(
  store: Store,
  name: string,
  work: (scratch: Collection) => Promise<unknown>,
): Promise<number> {
  // A run that was killed may have left it.
  await dropIfThere(store, name);
  const scratch = await store.createCollection(name, { embedder: 'lexical' });
  try {
    return await time(() => work(scratch));
  } finally {
    await store.dropCollection(name);
  }
}

/** Removes a collection; it is no error where there is none. */
export async function dropIfThere(store: Store, name: string): Promise<void> {
  try {
    await store.dropCollection(name);
  } catch (error) {
    if (!(error instanceof VolleyError) || error.code !== 'COLLECTION_NOT_FOUND') throw error;
  }
}

export interface Asked {
  readonly result: SearchResult;
  readonly comparison: Comparison;
}

/**
 * Asks the same questions one call at a time and as one batch, in turn, several times.
 *
 * The times are medians; the first round only warms up.
 */
export async function askBothWays(
  collection: Collection,
  queries: SearchQuery[],
  limit: number,
): Promise<Asked> {
  const single: number[] = [];
  const batch: number[] = [];
  const result = await collection.search(queries, { limit });
  for (let round = 0; round <= SEARCH_ROUNDS; round += 1) {
    const singleMs = await time(async () => {
      for (const query of queries) await collection.search([query], { limit });
    });
    const batchMs = await time(() => collection.search(queries, { limit }));
    if (round === 0) continue;
    single.push(singleMs);
    batch.push(batchMs);
  }
  const comparison = { count: queries.length, singleMs: median(single), batchMs: median(batch) };
  return { result, comparison };
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
