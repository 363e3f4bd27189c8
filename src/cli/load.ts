import { performance } from 'node:perf_hooks';
import {
  type ErrorCode,
  type Failure,
  type InsertResult,
  type InsertRow,
  VolleyError,
} from '../index.js';
import type { ImportItem, RowProblem } from './input/row.js';
import type { Progress } from './progress-bar.js';

/** Operations per batch. */
export const BATCH_COUNT_DEFAULT = 1000;
/** A batch is sent before it grows beyond this, in bytes of vectors and text. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Batches that wait for an answer at one time; the input is not read on while they do. */
const BATCHES_IN_FLIGHT_MAX = 3;

/** What could not be imported: the operation where there is one, and why. */
export interface LoadFailure {
  readonly row?: InsertRow;
  readonly error: Failure | RowProblem;
}

/** What became of the input. All counts together equal the records that were read. */
export interface LoadSummary {
  inserted: number;
  skipped: number;
  unchanged: number;
  failed: number;
  /** Failures by their code. */
  readonly failures: Map<ErrorCode, number>;
  /** Bytes of input whose records were answered for. */
  bytes: number;
  batches: number;
  elapsedMs: number;
  /** Why reading stopped early, other than by the signal. */
  stoppedBy?: Error;
}

export interface LoadOptions {
  /** Sends one best-effort batch. */
  readonly insert: (rows: InsertRow[]) => Promise<InsertResult>;
  /** All of the input, in bytes, for progress. */
  readonly bytesTotal: number;
  readonly batchCount?: number | undefined;
  /** Stops reading; batches in flight are finished. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told of each failure; the input waits for it. */
  readonly onFailure?: ((failure: LoadFailure) => Promise<void>) | undefined;
}

/**
 * Inserts the items in batches, a few in flight, and holds no more of the input than those.
 *
 * An operation that fails is counted and reported, and the others go on. A batch that is refused
 * as a whole (the store is closed, the disk is full) stops the reading.
 */
export async function load(
  items: AsyncIterable<ImportItem>,
  options: LoadOptions,
): Promise<LoadSummary> {
  const loader = new Loader(options);
  try {
    for await (const item of items) {
      if (loader.stopped) break;
      await loader.take(item);
    }
  } catch (error) {
    loader.stop(error as Error);
  }
  return await loader.finish();
}

interface Batch {
  readonly rows: InsertRow[];
  weight: number;
  bytes: number;
}

function emptyBatch(): Batch {
  return { rows: [], weight: 0, bytes: 0 };
}

class Loader {
  readonly #options: LoadOptions;
  readonly #batchCount: number;
  readonly #startedAt = performance.now();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #summary: LoadSummary = {
    inserted: 0,
    skipped: 0,
    unchanged: 0,
    failed: 0,
    failures: new Map(),
    bytes: 0,
    batches: 0,
    elapsedMs: 0,
  };
  #batch = emptyBatch();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#batchCount = options.batchCount ?? BATCH_COUNT_DEFAULT;
  }

  get stopped(): boolean {
    return this.#options.signal?.aborted === true || this.#summary.stoppedBy !== undefined;
  }

  stop(reason: Error): void {
    this.#summary.stoppedBy ??= reason;
  }

  async take({ row, problem, bytes }: ImportItem): Promise<void> {
    if (problem !== undefined) await this.#fail({ error: problem });
    const weight = row === undefined ? 0 : weightOf(row);
    if (this.#batch.weight + weight > BATCH_BYTES_MAX) await this.#send();
    this.#batch.weight += weight;
    this.#batch.bytes += bytes;
    if (row !== undefined) this.#batch.rows.push(row);
    if (this.#batch.rows.length >= this.#batchCount) await this.#send();
  }

  async finish(): Promise<LoadSummary> {
    if (!this.stopped) await this.#send();
    await Promise.all(this.#inFlight);
    this.#summary.elapsedMs = performance.now() - this.#startedAt;
    return this.#summary;
  }

  /** Hands the batch over, and waits until there is room for the next one. */
  async #send(): Promise<void> {
    const batch = this.#batch;
    this.#batch = emptyBatch();
    if (batch.rows.length === 0) {
      this.#summary.bytes += batch.bytes;
      return;
    }
    const work = this.#insert(batch)
      .catch((error: Error) => this.stop(error))
      .finally(() => this.#inFlight.delete(work));
    this.#inFlight.add(work);
    if (this.#inFlight.size >= BATCHES_IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
  }

  async #insert({ rows, bytes }: Batch): Promise<void> {
    const summary = this.#summary;
    try {
      const result = await this.#options.insert(rows);
      summary.inserted += result.insertedCount;
      summary.skipped += result.skippedCount;
      summary.unchanged += result.unchangedCount;
      for (const error of result.errors) await this.#fail({ row: rows[error.index], error });
    } catch (error) {
      if (!(error instanceof VolleyError)) throw error;
      this.stop(error);
      for (const row of rows) await this.#fail({ row, error: failureOf(error) });
    }
    summary.batches += 1;
    summary.bytes += bytes;
    this.#options.onProgress?.({
      bytes: summary.bytes,
      bytesTotal: this.#options.bytesTotal,
      records: summary.inserted + summary.skipped + summary.unchanged,
    });
  }

  async #fail({ row, error }: { row?: InsertRow | undefined; error: LoadFailure['error'] }) {
    const { failures } = this.#summary;
    this.#summary.failed += 1;
    failures.set(error.errorCode, (failures.get(error.errorCode) ?? 0) + 1);
    await this.#options.onFailure?.(row === undefined ? { error } : { row, error });
  }
}

/** A record's share of a batch, in bytes, roughly: metadata is small beside the rest. */
function weightOf({ data, text }: InsertRow): number {
  return (data?.length ?? 0) * Float32Array.BYTES_PER_ELEMENT + (text?.length ?? 0);
}

/** A thrown error in the form that an operation's failure has. */
export function failureOf(error: VolleyError): Failure {
  const { code, message, retriable, details } = error;
  return { ...details, errorCode: code, errorMessage: message, retriable };
}
