import type { Progress } from '../progress.js';
import type { Failure, OutcomeStatus } from '../results.js';
import type { Level } from '../types.js';

/** What happened to one operation of a stream. */
export interface StreamOutcome {
  /** The operation's 0-based place in the stream. */
  offset: number;
  /** The record's id; `null` where it has none that is valid, or in an atomic stream. */
  id: string | null;
  /** What happened. */
  status: OutcomeStatus;
  /** Why it failed, where `status` is `failed`. */
  error?: Failure;
}

/** One failed operation of a stream. */
export interface StreamFailure<Item = unknown> {
  /** The operation's 0-based place in the stream. */
  offset: number;
  /** The record's id, where it has one that is valid. */
  id: string | null;
  /** Why it failed. */
  error: Failure;
  /** The operation as it came; of columns, as a row. */
  item: Item;
}

/** How a stream ended. */
export type StreamStatus = 'success' | 'partial' | 'failed' | 'cancelled';

/** What became of a stream. All counts together equal `receivedCount`. */
export interface StreamSummary<Item = unknown> {
  /**
   * `success`: nothing failed. `partial`, `failed`: some or all operations did, or the source
   * ended by an error. `cancelled`: it was ended by its caller before all of it was committed.
   */
  status: StreamStatus;
  /** Operations that were read from the source, without those of `resumedFrom`. */
  receivedCount: number;
  /** Records created or replaced. */
  insertedCount: number;
  /** Records changed. */
  updatedCount: number;
  /** Records removed. */
  deletedCount: number;
  /** Operations whose own rule said to do nothing. */
  skippedCount: number;
  /** Operations that met a record that already was as asked. */
  unchangedCount: number;
  /** Operations that failed, or were read but not done because the stream ended. */
  failedCount: number;
  /** The first failures, by offset, as many as `failuresKept` says. */
  failures: StreamFailure<Item>[];
  /** Failures beyond those; they were counted and, where asked for, given to `onFailure`. */
  failuresDroppedCount: number;
  /** Outcomes that nobody took from the iterator. */
  unreadCount: number;
  /** Operations from the stream's beginning that are committed without a gap. */
  nextOffset: number;
  /** Operations that were skipped, because an earlier run of this `streamId` has done them. */
  resumedFrom: number;
  /** Number of the last commit; 0 where there was none. */
  sequence: number;
  /** How far all commits had come at the end. */
  reached: Level;
  /** Chunks that were sent. */
  chunkCount: number;
  /** Bytes that were sent. */
  bytes: number;
  /** Milliseconds from the first pull to the end. */
  processingTimeMs: number;
  /** What ended the stream early: the source's error, the engine's, or that of a call-back. */
  error?: unknown;
}

/**
 * A stream of operations on its way. It runs whether or not anyone iterates.
 *
 * Iterating yields one outcome per operation, in the order of the stream; the stream then waits
 * for its reader. Leaving the loop early (`break`, `return`, `throw`) cancels the stream.
 */
export interface OperationStream<Item = unknown> extends AsyncIterable<StreamOutcome> {
  /**
   * What became of the stream, once it has ended.
   *
   * Rejects with a {@link StreamError} that carries the summary where the source or the engine
   * failed or an atomic stream did, unless `onError: 'collect'`. It never rejects unhandled.
   */
  readonly summary: Promise<StreamSummary<Item>>;
  /**
   * Ends the stream: nothing more is read, and what has not committed does not. Where all has, the
   * summary is the one of a whole stream; only a `waitFor: 'indexed'` is waited for no longer.
   */
  cancel(reason?: unknown): Promise<StreamSummary<Item>>;
}

/** Told how far a stream is. */
export type OnProgress = (progress: Progress) => void;
