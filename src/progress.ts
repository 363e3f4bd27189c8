import type { ErrorCode } from './errors.js';

/** How far a batch or stream is: one shape everywhere. Counts never fall. */
export interface Progress {
  /** Operations in all, where that is known. */
  total?: number;
  /** Operations that were read. */
  received: number;
  /** Operations in the log, as the store's durability promises. */
  durable: number;
  /** Operations that every read sees. */
  applied: number;
  /** Operations that are in the graph. */
  indexed: number;
  /** Operations that failed. */
  failed: number;
  /** Bytes of the operations that were read. */
  bytes: number;
  /** Operations per second so far. */
  ratePerS: number;
  /** Seconds that the rest will take at this rate, where the total is known. */
  etaS?: number;
  /** Bytes of the memory budget in use by all calls of the process. */
  memoryBytes: number;
}

/** How far a batch is that runs or ran lately. */
export interface BatchProgress extends Progress {
  /** Its name. */
  batchId: string;
  /** What was asked for. */
  verb: string;
  /** The collection, once it is known. */
  collection: string | null;
  /** How it stands or how it ended. */
  status: 'running' | 'success' | 'partial' | 'failed' | 'cancelled';
  /** Its number, where it has committed. */
  sequence: number | null;
  /** Why it was refused or stopped. */
  errorCode?: ErrorCode;
  /** The same in words. */
  errorMessage?: string;
  /** Milliseconds since it came, or that it took. */
  processingTimeMs: number;
}
