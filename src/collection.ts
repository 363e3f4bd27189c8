import { BatchWatch } from './batch-watch.js';
import { camelDeep, decodeRecords, decodeSearch, decodeWrite } from './decode.js';
import { type EmbeddedReply, type Embedder, finishWithEmbeddings } from './embedder.js';
import {
  type Encoded,
  encodeIds,
  encodeOperations,
  encodeQueries,
  encodeUpdates,
  encodeVectors,
} from './encode.js';
import { batchError, VolleyError } from './errors.js';
import type { Filter } from './filter.js';
import { InterruptibleCall, type InterruptOptions } from './interrupt.js';
import type { CallContext, Door } from './native/door.js';
import * as options from './options.js';
import type {
  DeleteResult,
  InsertResult,
  MixedResult,
  SearchResult,
  UpdateResult,
  VectorRecord,
  WriteResult,
} from './results.js';
import type { BatchOperations } from './settings.js';
import {
  DELETE_STREAM_OPTIONS,
  type DeleteStreamOptions,
  INSERT_STREAM_OPTIONS,
  type InsertStreamOptions,
  type Source,
  streamRules,
  UPDATE_STREAM_OPTIONS,
  type UpdateStreamOptions,
  WRITE_STREAM_OPTIONS,
  type WriteStreamOptions,
} from './stream/options.js';
import type { OperationStream } from './stream/results.js';
import {
  type SearchStreamOptions,
  type StreamQueryResult,
  searchStream,
} from './stream/search-stream.js';
import { type StreamTarget, WriteStream } from './stream/write-stream.js';
import type {
  CollectionInfo,
  Columns,
  CompactResult,
  DeleteOptions,
  GetOptions,
  InsertOptions,
  InsertRow,
  JsonObject,
  ListOptions,
  MetadataPatch,
  MixedOptions,
  Operation,
  QueryColumns,
  SearchOptions,
  SearchQuery,
  UpdateOptions,
  UpdateRow,
  UpsertOptions,
  WriteOptions,
} from './types.js';

/** Records that one page of a list carries at most. */
const PAGE_RECORDS_MAX = 1000;

/**
 * A collection of a store. Made by `createCollection` and `collection`.
 *
 * Every call is one batch. Calls take effect in the order in which they were made; only where the
 * memory budget is used up, a delete goes before other calls that wait for it. What a call is given is copied before it returns its promise, so that
 * arrays may be used again at once. Writes are atomic unless told otherwise; a failed atomic
 * write throws a {@link BatchError}. Every call may also reject with a {@link VolleyError}:
 * `INVALID_ARGUMENT` for an unknown option, `COLLECTION_NOT_FOUND` where it was dropped,
 * `STORE_CLOSED`, `STORE_POISONED` after a failed write to the disk, `OVERLOADED` where the
 * memory budget is used up for now, `CORRUPTED`.
 *
 * @typeParam Metadata The type of the records' metadata; it is not checked at run time.
 */
export class Collection<Metadata extends object = JsonObject> {
  /** The collection's name. */
  readonly name: string;
  /** Numbers per vector. */
  readonly dimension: number;

  readonly #parts: CollectionParts;
  #closed = false;

  /** @internal */
  constructor(parts: CollectionParts) {
    this.name = parts.name;
    this.dimension = parts.dimension;
    this.#parts = parts;
  }

  /**
   * Adds records.
   *
   * @throws BatchError Where an atomic batch failed, with the codes of its rows: `INVALID_ID`,
   *   `INVALID_VECTOR`, `DIMENSION_MISMATCH`, `INVALID_METADATA`, `ALREADY_EXISTS`,
   *   `DUPLICATE_ID`.
   * @throws VolleyError `EMBEDDING_FAILED`, `BATCH_TOO_LARGE`, `IDEMPOTENCY_MISMATCH`.
   */
  async insert(
    records: readonly InsertRow<Metadata>[] | Columns<Metadata>,
    insertOptions: InsertOptions = {},
  ): Promise<InsertResult> {
    const taken = options.take('insert', insertOptions, options.INSERT_OPTIONS);
    return this.#write('insert', encodeVectors('insert', records), taken, insertOptions);
  }

  /** Adds records; those whose id exists are replaced whole. Fails as `insert` does. */
  async upsert(
    records: readonly InsertRow<Metadata>[] | Columns<Metadata>,
    upsertOptions: UpsertOptions = {},
  ): Promise<InsertResult> {
    const taken = options.take('upsert', upsertOptions, options.UPSERT_OPTIONS);
    taken.on_conflict = 'replace';
    return this.#write('insert', encodeVectors('upsert', records), taken, upsertOptions);
  }

  /**
   * Changes records; what a row leaves out stays as it is.
   *
   * @throws BatchError Where an atomic batch failed: `NOT_FOUND`, and what `insert` fails with.
   */
  async update(
    updates: readonly UpdateRow<Metadata>[] | Columns<MetadataPatch<Metadata> & object>,
    updateOptions: UpdateOptions = {},
  ): Promise<UpdateResult> {
    const taken = options.take('update', updateOptions, options.UPDATE_OPTIONS);
    return this.#write('update', encodeUpdates(updates), taken, updateOptions);
  }

  /**
   * Removes records.
   *
   * @throws BatchError Where an atomic batch failed: `NOT_FOUND` unless `missing: 'ignore'`.
   */
  async delete(ids: readonly string[], deleteOptions: DeleteOptions = {}): Promise<DeleteResult> {
    const taken = options.take('delete', deleteOptions, options.DELETE_OPTIONS);
    return this.#write('delete', encodeIds('delete', ids), taken, deleteOptions);
  }

  /**
   * Runs operations of several kinds as if in list order: a later one sees an earlier one.
   *
   * @throws BatchError Where an atomic batch failed: `CONDITION_FAILED` where an `ifVersion` did
   *   not hold, and what the other writes fail with.
   */
  async write(
    operations: readonly Operation<Metadata>[],
    writeOptions: MixedOptions = {},
  ): Promise<MixedResult> {
    const taken = options.take('write', writeOptions, options.MIXED_OPTIONS);
    return this.#write('write', encodeOperations(operations), taken, writeOptions);
  }

  /**
   * Adds the records of a source of any length, chunk by chunk; see {@link OperationStream}.
   *
   * The source may be an array, a generator, a web or a Node stream, of rows or of columns. It is
   * read only as fast as chunks are committed and the memory budget allows.
   *
   * @throws VolleyError `INVALID_ARGUMENT` for a source that cannot be iterated and for bad
   *   options. All else is told by the stream.
   */
  insertStream<Item extends InsertRow<Metadata> | Columns<Metadata>>(
    source: Source<Item>,
    streamOptions: InsertStreamOptions<InsertRow<Metadata>> = {},
  ): OperationStream<InsertRow<Metadata>> {
    const known = INSERT_STREAM_OPTIONS;
    const encode = (input: unknown) => encodeVectors('insertStream', input);
    return this.#stream('insertStream', 'insert', source, { streamOptions, known, encode });
  }

  /** Changes the records of a source of any length, as `insertStream` adds them. */
  updateStream<Item extends UpdateRow<Metadata> | Columns<MetadataPatch<Metadata> & object>>(
    source: Source<Item>,
    streamOptions: UpdateStreamOptions<UpdateRow<Metadata>> = {},
  ): OperationStream<UpdateRow<Metadata>> {
    const known = UPDATE_STREAM_OPTIONS;
    const encode = encodeUpdates;
    return this.#stream('updateStream', 'update', source, { streamOptions, known, encode });
  }

  /** Removes the records of a source of ids of any length, as `insertStream` adds them. */
  deleteStream(
    source: Source<string>,
    streamOptions: DeleteStreamOptions<string> = {},
  ): OperationStream<string> {
    const known = DELETE_STREAM_OPTIONS;
    const encode = (input: unknown) => encodeIds('deleteStream', input);
    return this.#stream('deleteStream', 'delete', source, { streamOptions, known, encode });
  }

  /** Runs the operations of a source of any length in its order, as `insertStream` adds records. */
  writeStream(
    source: Source<Operation<Metadata>>,
    streamOptions: WriteStreamOptions<Operation<Metadata>> = {},
  ): OperationStream<Operation<Metadata>> {
    const known = WRITE_STREAM_OPTIONS;
    const encode = encodeOperations;
    return this.#stream('writeStream', 'write', source, { streamOptions, known, encode });
  }

  /**
   * How many operations of a stream, from its beginning, are committed; 0 for one that is not
   * known, or not any more.
   */
  async streamOffset(streamId: string): Promise<number> {
    const { reply } = await this.#call('stream.offset', { stream_id: streamId });
    return reply.offset as number;
  }

  /**
   * Answers the queries of a source of any length, a few chunks ahead of its reader. Each chunk
   * is one search: its queries see one snapshot.
   *
   * @throws VolleyError While iterating, what `search` throws; errors of the source as they are.
   */
  searchStream(
    queries: Source<SearchQuery<Metadata>>,
    streamOptions: SearchStreamOptions<Metadata> = {},
  ): AsyncIterableIterator<StreamQueryResult<Metadata>> {
    const { settings } = this.#parts;
    return searchStream({
      queries,
      options: streamOptions,
      settings,
      search: (chunk, searchOptions) => this.search(chunk, searchOptions),
    });
  }

  /**
   * Finds the records nearest to each query. All queries see one snapshot: never a deleted
   * record, never half a batch.
   *
   * A bad query fails alone, with its own status and error, unless `atomic`.
   *
   * @param queries Queries, or `{ queryVectors }`: one block of vectors end to end.
   * @param searchOptions Defaults for queries that do not say, and the batch's own options.
   * @throws BatchError Where an atomic search failed: `INVALID_QUERY`, `INVALID_FILTER`,
   *   `INVALID_VECTOR`, `DIMENSION_MISMATCH`.
   */
  async search(
    queries: readonly SearchQuery<Metadata>[] | QueryColumns,
    searchOptions: SearchOptions<Metadata> = {},
  ): Promise<SearchResult<Metadata>> {
    const taken = options.take('search', searchOptions, options.SEARCH_OPTIONS);
    const onError = options.takeOnError(searchOptions);
    const { header, block, refused } = encodeQueries(queries, this.dimension);
    const { reply, embeddingFailure } = await this.#call(
      'search',
      { ...header, ...taken },
      block,
      searchOptions,
    );
    const result = decodeSearch<Metadata>(reply, refused);
    const failed = searchOptions.atomic === true && result.status === 'failed';
    if (failed && onError === 'throw')
      throw batchError(result, result.failedQueries, embeddingFailure);
    return result;
  }

  /**
   * Reads records by id, in the order of the ids; `null` where there is none.
   *
   * @throws VolleyError `INVALID_ID` where an id is no string.
   */
  async get(
    ids: readonly string[],
    getOptions: GetOptions = {},
  ): Promise<(VectorRecord<Metadata> | null)[]> {
    const taken = options.take('get', getOptions, options.GET_OPTIONS);
    const { header, refused } = encodeIds('get', ids);
    for (const [index, { failure }] of refused) {
      const { errorCode, errorMessage, field } = failure;
      throw new VolleyError(errorCode, `get: index ${index}: ${errorMessage}`, {
        details: { field, index },
      });
    }
    const { reply } = await this.#call('get', { ...header, ...taken });
    const records = reply.vectors as (VectorRecord<Metadata> | null)[];
    decodeRecords(records);
    return records;
  }

  /**
   * Reads all records, or those that pass a filter, in no particular order. They are fetched page
   * by page from one snapshot, the one of the first page.
   *
   * @example
   * for await (const record of books.list({ filters: { kind: 'book' } })) console.log(record.id);
   */
  async *list(
    listOptions: ListOptions<Metadata> = {},
  ): AsyncGenerator<VectorRecord<Metadata>, void, undefined> {
    const taken = options.take('list', listOptions, options.LIST_OPTIONS);
    let left = options.takeListLimit(listOptions) ?? Number.POSITIVE_INFINITY;
    let after: unknown;
    while (left > 0 && after !== null) {
      const limit = Math.min(left, PAGE_RECORDS_MAX);
      const { reply } = await this.#call('list', { ...taken, limit, after });
      const records = reply.vectors as VectorRecord<Metadata>[];
      decodeRecords(records);
      yield* records;
      left -= records.length;
      after = reply.next;
    }
  }

  /**
   * Counts the records, or those that pass a filter.
   *
   * @throws VolleyError `INVALID_FILTER`.
   */
  async count(filters?: Filter<Metadata>): Promise<number> {
    const taken = options.take('count', { filters }, options.COUNT_OPTIONS);
    const { reply } = await this.#call('count', taken);
    return reply.count as number;
  }

  /** What is known of the collection now. */
  async info(): Promise<CollectionInfo> {
    return camelDeep((await this.#call('collections.info', {})).reply) as CollectionInfo;
  }

  /**
   * Resolves once all that is applied now is in the graph. Searches find it before that, too;
   * they are faster afterwards.
   *
   * @returns The sequence up to which the graph is complete.
   */
  async indexed(): Promise<number> {
    const { reply } = await this.#call('indexed', {});
    return reply.indexed as number;
  }

  /** Rewrites the live records of mostly dead log files and gives the rest of the disk back. */
  async compact(): Promise<CompactResult> {
    return camelDeep((await this.#call('compact', {})).reply) as CompactResult;
  }

  /** Ends the use of this handle: later calls fail with `STORE_CLOSED`. The store stays open. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  /** The same as `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #stream<Item>(
    call: string,
    verb: StreamTarget['verb'],
    source: unknown,
    how: StreamHow<Item>,
  ): OperationStream<Item> {
    if (this.#closed) throw handleClosed(this.name);
    const { streamOptions, known, encode } = how;
    const taken = options.take(call, streamOptions, known);
    const rules = streamRules(streamOptions, this.#parts.settings);
    const target = { parts: this.#parts, call, verb, taken, encode };
    return new WriteStream(target, source, rules) as OperationStream<Item>;
  }

  async #write<Result extends WriteResult>(
    verb: string,
    { header, block, refused }: Encoded,
    taken: options.WireOptions,
    given: WriteOptions,
  ): Promise<Result> {
    const onError = options.takeOnError(given);
    const onProgress = options.callback('onProgress', given.onProgress);
    const { door, settings } = this.#parts;
    const isWatched = onProgress !== undefined && settings.progressReporting;
    const context = isWatched ? { batchId: door.newBatchId() } : undefined;
    const call = this.#call(verb, { ...header, ...taken }, block, given, context);
    const isPreview = given.validateOnly === true;
    const names = context && { ...context, verb, collection: this.name, isPreview };
    const { reply, embeddingFailure } = await (names && onProgress
      ? watched(call, new BatchWatch(door, names, onProgress))
      : call);
    const result = decodeWrite<Result>(reply, refused);
    const atomic = given.atomic ?? settings.atomicByDefault;
    const failed = atomic && result.status === 'failed';
    if (failed && onError === 'throw')
      throw batchError(result, result.failedCount, embeddingFailure);
    return result;
  }

  async #call(
    verb: string,
    header: options.WireOptions,
    block?: Float32Array,
    interrupt: InterruptOptions = {},
    context: CallContext = {},
  ): Promise<EmbeddedReply> {
    if (this.#closed) throw handleClosed(this.name);
    const { door, closing } = this.#parts;
    const call = new InterruptibleCall(door, interrupt, closing, context);
    const reply = await call.send(verb, { collection: this.name, ...header }, block);
    return finishWithEmbeddings(this.#parts, call, reply);
  }
}

/** What one kind of stream says of itself. */
interface StreamHow<Item> {
  readonly streamOptions: WriteStreamOptions<Item>;
  readonly known: options.OptionNames;
  readonly encode: (input: unknown) => Encoded;
}

/** @internal What a handle of a collection is made of. */
export interface CollectionParts {
  readonly door: Door;
  readonly name: string;
  readonly dimension: number;
  readonly embedder: Embedder | undefined;
  readonly settings: BatchOperations;
  /** Aborted when the store closes. */
  readonly closing: AbortSignal;
}

/** The call's reply, behind the watch's last report. */
async function watched(call: Promise<EmbeddedReply>, watch: BatchWatch): Promise<EmbeddedReply> {
  try {
    const done = await call;
    await watch.finish(done.reply);
    return done;
  } catch (error) {
    await watch.fail(error);
    throw error;
  }
}

function handleClosed(name: string): VolleyError {
  return new VolleyError('STORE_CLOSED', `collection ${name}: the handle was closed`);
}
