import type { ErrorCode } from './errors.js';
import type { JsonObject, Reached } from './types.js';

/** Whether all, some or none of a batch succeeded. */
export type BatchStatus = 'success' | 'partial' | 'failed';

/** What happened to one operation. */
export type OutcomeStatus =
  | 'created'
  | 'replaced'
  | 'updated'
  | 'deleted'
  | 'unchanged'
  | 'skipped'
  | 'failed';

/** Why something failed. */
export interface Failure {
  /** What programs branch on. */
  errorCode: ErrorCode;
  /** What people read. */
  errorMessage: string;
  /** Whether the same request may succeed later without being changed. */
  retriable: boolean;
  /** The values that the message names: `field`, `limit`, `actual`, `unit` and the like. */
  [detail: string]: unknown;
}

/** One failed operation of a write. */
export interface OperationError extends Failure {
  /** The operation's 0-based place in the batch. */
  index: number;
  /** The same place as text, or the query's id. */
  operationId: string;
  /** The record's id, where it has one that is valid. */
  vectorId: string | null;
}

/** What happened to one operation of a write. */
export interface Outcome {
  /** The operation's 0-based place in the batch. */
  index: number;
  /** The record's id. */
  id: string | null;
  /** What happened. */
  status: OutcomeStatus;
  /** Set where `status` is `failed`, as are the next two and the values that the message names. */
  errorCode?: ErrorCode;
  /** What people read. */
  errorMessage?: string;
  /** Whether the same request may succeed later without being changed. */
  retriable?: boolean;
  /** The values that the message names. */
  [detail: string]: unknown;
}

/** What every write returns. All counts together equal the operations. */
export interface WriteResult {
  /** Whether all, some or none succeeded. */
  status: BatchStatus;
  /** Operations that failed; of a failed atomic batch, all of them. */
  failedCount: number;
  /** Operations whose own rule said to do nothing. */
  skippedCount: number;
  /** Operations that met a record that already was as asked. */
  unchangedCount: number;
  /** Every failed operation, by index. */
  errors: OperationError[];
  /** One per operation, in request order, where `outcomes: 'all'` asked for them. */
  outcomes?: Outcome[];
  /** The commit's number: the version of the records it wrote. */
  sequence: number;
  /** How far the batch had come. */
  reached: Reached;
  /** Whether this is the reply of an earlier call with the same idempotency key. */
  replayed: boolean;
  /** Name of the batch in progress reports. */
  batchId: string;
  /** Milliseconds inside the engine. */
  processingTimeMs: number;
}

/** What `insert` and `upsert` return. */
export interface InsertResult extends WriteResult {
  /** Records created or replaced. */
  insertedCount: number;
}

/** What `update` returns. */
export interface UpdateResult extends WriteResult {
  /** Records changed. */
  updatedCount: number;
}

/** What `delete` returns. */
export interface DeleteResult extends WriteResult {
  /** Records removed. */
  deletedCount: number;
}

/** What `write` returns. */
export interface MixedResult extends InsertResult, UpdateResult, DeleteResult {}

/** A record as it was written. */
export interface VectorRecord<Metadata extends object = JsonObject> {
  /** The caller's key. */
  id: string;
  /** The vector as it was given, where asked for. */
  data?: Float32Array;
  /** The text, where the record has one and it was asked for. */
  text?: string;
  /** The metadata, where asked for. */
  metadata?: Metadata;
  /** Number of the batch that last wrote it, for `ifVersion`; `get` and `list` tell it. */
  version?: number;
}

/** One hit of a query. */
export interface Match<Metadata extends object = JsonObject> extends VectorRecord<Metadata> {
  /**
   * Larger is nearer. `cosine`: the cosine, -1 to 1. `euclidean`: 1 / (1 + distance), 0 to 1.
   * `dot_product`: the dot product.
   */
  score: number;
}

/** The answer to one query. */
export interface QueryResult<Metadata extends object = JsonObject> {
  /** The caller's name for the query, or `query_1`, `query_2`, ... */
  queryId: string;
  /** The matches, nearest first, ties by id. */
  results: Match<Metadata>[];
  /** Milliseconds this query took. */
  queryTimeMs: number;
  /** Whether the query succeeded. */
  status: 'success' | 'failed';
  /** Why it did not. */
  error?: Failure;
}

/** What `search` returns. All queries of one search see one snapshot. */
export interface SearchResult<Metadata extends object = JsonObject> {
  /** One per query, in request order. */
  batchResults: QueryResult<Metadata>[];
  /** Queries asked. */
  totalQueries: number;
  /** Queries that succeeded. */
  successfulQueries: number;
  /** Queries that failed. */
  failedQueries: number;
  /** Every failed query, by index. */
  errors: OperationError[];
  /** Milliseconds inside the engine. */
  processingTimeMs: number;
  /** Whether all, some or none succeeded. */
  status: BatchStatus;
}
