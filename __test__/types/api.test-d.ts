// Compiled by `npm run types`, never run: each expected error must be one.
import type {
  Collection,
  Filter,
  Match,
  SearchResult,
  Store,
  StreamStatus,
  VectorRecord,
} from '../../src/index.js';

interface Book {
  kind: 'novel' | 'essay';
  pages: number;
  tags: string[];
  author?: { name: string; born: number | null };
}

declare const store: Store;
declare const books: Collection<Book>;
declare const loose: Collection;

/** Holds where the two types are the same. */
type Same<Left, Right> =
  (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false;
const yes = <Holds extends true>(_holds?: Holds): void => {};

export async function collections(): Promise<void> {
  const made = await store.createCollection<Book>('a', { dimension: 2, metric: 'dot_product' });
  yes<Same<typeof made, Collection<Book>>>();
  // @ts-expect-error: no such metric.
  await store.createCollection('a', { dimension: 2, metric: 'manhattan' });
  // @ts-expect-error: no such option.
  await store.createCollection('a', { dimensions: 2 });
}

export async function writes(): Promise<void> {
  const metadata: Book = { kind: 'novel', pages: 3, tags: [] };
  await books.insert([{ id: 'a', data: [1, 2], metadata }]);
  await books.insert([{ id: 'a', data: new Float32Array(2), text: undefined }]);
  await books.insert({ ids: ['a'], data: new Float32Array(2), metadata: [metadata, null] });
  // @ts-expect-error: neither data nor text.
  await books.insert([{ id: 'a' }]);
  // @ts-expect-error: no such kind.
  await books.insert([{ id: 'a', data: [1], metadata: { ...metadata, kind: 'poem' } }]);
  // @ts-expect-error: an upsert has its rule for conflicts.
  await books.upsert([{ id: 'a', data: [1] }], { onConflict: 'skip' });
  await books.update([{ id: 'a', metadata: { author: { born: null } } }]);
  await books.update([{ id: 'a', metadata: { author: null, pages: 4 } }]);
  // @ts-expect-error: pages are a number.
  await books.update([{ id: 'a', metadata: { pages: 'four' } }]);
  await books.write([
    { op: 'insert', id: 'a', data: [1], onConflict: 'skip' },
    { op: 'delete', id: 'b', ifVersion: 3 },
  ]);
  // @ts-expect-error: a delete has no data.
  await books.write([{ op: 'delete', id: 'b', data: [1] }]);
  // @ts-expect-error: an id may stand twice in a mixed batch, so there is no rule for it.
  await books.write([], { duplicates: 'last_wins' });
  const result = await books.delete(['a'], { outcomes: 'all' });
  yes<Same<typeof result.deletedCount, number>>();
}

export async function reads(): Promise<void> {
  const result = await books.search([{ queryVector: [1, 2], filters: { pages: { $gt: 3 } } }]);
  yes<Same<typeof result, SearchResult<Book>>>();
  const match: Match<Book> | undefined = result.batchResults[0]?.results[0];
  yes<Same<NonNullable<NonNullable<typeof match>['metadata']>['kind'], 'novel' | 'essay'>>();
  await books.search({ queryVectors: new Float32Array(4) }, { limit: 3 });
  // @ts-expect-error: a query has a vector or a text, not both.
  await books.search([{ queryVector: [1], queryText: 'a' }]);
  for await (const record of books.list({ filters: { kind: 'novel' } })) {
    yes<Same<typeof record, VectorRecord<Book>>>();
  }
  await loose.count({ 'any.path': { $in: [1, 'a', null] }, $not: { other: true } });
}

export const filters: Filter<Book>[] = [
  { kind: 'novel', pages: { $gte: 1, $lt: 9 } },
  { tags: 'red' },
  { tags: { $in: ['red', 'blue'] } },
  { 'author.name': { $exists: true } },
  { 'author.born': null },
  { $and: [{ kind: { $ne: 'essay' } }, { $or: [{ pages: 1 }] }], $not: { tags: 'x' } },
  // @ts-expect-error: no such kind.
  { kind: 'poem' },
  // @ts-expect-error: pages are a number.
  { pages: { $gt: '3' } },
  // @ts-expect-error: no such field.
  { page: 3 },
  // @ts-expect-error: no such field inside.
  { 'author.nom': 'x' },
  // @ts-expect-error: no such operator.
  { pages: { $near: 3 } },
  // @ts-expect-error: a name is no null.
  { 'author.name': null },
];

export async function streams(): Promise<void> {
  const row = { id: 'a', data: [1, 2], metadata: { kind: 'novel', pages: 1, tags: [] } as Book };
  const stream = books.insertStream([row], { onConflict: 'skip', streamId: 'load' });
  for await (const { offset, status } of stream) {
    yes<Same<typeof offset, number>>();
    // @ts-expect-error: no such status.
    status === 'done';
  }
  const { failures } = await stream.summary;
  yes<Same<(typeof failures)[number]['item']['id'], string>>();
  books.insertStream([{ ids: ['a'], data: new Float32Array(2) }]);
  // @ts-expect-error: no such kind.
  books.insertStream([{ ...row, metadata: { ...row.metadata, kind: 'poem' } }]);
  // @ts-expect-error: an update has no rule for conflicts.
  books.updateStream([{ id: 'a', metadata: { pages: 4 } }], { onConflict: 'skip' });
  books.deleteStream(['a'], { missing: 'ignore' });
  // @ts-expect-error: ids, not rows.
  books.deleteStream([{ id: 'a' }]);
  books.writeStream([{ op: 'delete', id: 'a' }], { atomic: true });
  for await (const found of books.searchStream([{ queryText: 'a' }], { order: 'finished' })) {
    yes<Same<typeof found.offset, number>>();
    yes<Same<NonNullable<(typeof found.results)[number]['metadata']>, Book>>();
  }
  // @ts-expect-error: a chunk is no batch of the caller's.
  books.searchStream([{ queryText: 'a' }], { atomic: true });
  await books.insert([row], { signal: new AbortController().signal, deadlineMs: 10 });
  await books.update([], { onProgress: ({ batchId }) => yes<Same<typeof batchId, string>>() });
  // @ts-expect-error: a search has no progress.
  await books.search([{ queryText: 'a' }], { onProgress: () => {} });
  books.insertStream([row], { onFailure: ({ item }) => yes<Same<typeof item.id, string>>() });
  // @ts-expect-error: a stream of updates takes no rows without an id.
  books.updateStream([{ metadata: { pages: 4 } }]);
  // @ts-expect-error: chunks are counted in operations.
  books.insertStream([row], { chunkSize: '8 MiB' });
  yes<Same<Awaited<ReturnType<typeof stream.cancel>>['status'], StreamStatus>>();
  // @ts-expect-error: no signal.
  await books.search([{ queryText: 'a' }], { signal: 1 });
}
