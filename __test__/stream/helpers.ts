import type { ExecutionContext } from 'ava';
import { type Collection, type CollectionOptions, type InsertRow, open } from '../../src/index.js';

/** Settings under which a few rows are several chunks. */
export const SMALL = { chunkSize: 10, parallelWorkers: 3 };
/** Chunks that do not grow. */
export const EVEN = { chunkSize: 10 };

export async function collectionOf(
  t: ExecutionContext,
  options: CollectionOptions = { dimension: 2 },
): Promise<Collection> {
  const store = await open(':memory:', { batchOperations: SMALL });
  t.teardown(() => store.close());
  return store.createCollection('things', options);
}

export function row(n: number): InsertRow {
  return { id: `row ${n}`, data: [n + 1, 1] };
}

export function* rows(count: number, from = 0): Generator<InsertRow> {
  for (let n = from; n < from + count; n++) yield row(n);
}

export async function* slowly<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}
