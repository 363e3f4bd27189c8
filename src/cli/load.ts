import type {
  Collection,
  ErrorCode,
  Failure,
  InsertRow,
  InsertStreamOptions,
  VolleyError,
} from '../index.js';
import type { ImportItem, RowProblem } from './input/row.js';
import type { Progress } from './progress-bar.js';

/** Operations per batch. */
export const BATCH_COUNT_DEFAULT = 1000;

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
  /** Bytes of input that were read. */
  bytes: number;
  batches: number;
  elapsedMs: number;
  /** Why reading stopped early, other than by the signal. */
  stoppedBy?: Error;
}

export interface LoadOptions extends Pick<InsertStreamOptions, 'onConflict' | 'duplicates'> {
  /** All of the input, in bytes, for progress. */
  readonly bytesTotal: number;
  readonly batchCount?: number | undefined;
  /** Stops reading; what was read is still done. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told of each failure; the input waits for it. */
  readonly onFailure?: ((failure: LoadFailure) => Promise<void>) | undefined;
}

/**
 * Inserts the items as a stream.
 *
 * An operation that fails is counted and reported, and the others go on. A batch that is refused
 * as a whole (the store is closed, the disk is full) stops the reading.
 */
export async function load(
  items: AsyncIterable<ImportItem>,
  into: Pick<Collection, 'insertStream'>,
  options: LoadOptions,
): Promise<LoadSummary> {
  const { bytesTotal, batchCount, onConflict, duplicates, onProgress } = options;
  const input = new Input(items, options);
  const stream = into.insertStream(input.rows(), {
    onConflict,
    duplicates,
    chunkSize: batchCount ?? BATCH_COUNT_DEFAULT,
    failuresKept: 0,
    onError: 'collect',
    onFailure: ({ item, error }) => input.fail({ row: item, error }),
    onProgress: ({ applied }) => {
      onProgress?.({ bytes: input.bytes, bytesTotal, records: applied });
    },
  });
  const summary = await stream.summary;
  const { insertedCount, skippedCount, unchangedCount, failedCount, error } = summary;
  return {
    inserted: insertedCount,
    skipped: skippedCount,
    unchanged: unchangedCount,
    failed: failedCount + input.problemCount,
    failures: input.failures,
    bytes: input.bytes,
    batches: summary.chunkCount,
    elapsedMs: summary.processingTimeMs,
    ...(error !== undefined && { stoppedBy: error as Error }),
  };
}

/** The rows of some items, and what is counted beside them. */
class Input {
  /** Bytes that were read. */
  bytes = 0;
  /** Items that are no rows. */
  problemCount = 0;
  readonly failures = new Map<ErrorCode, number>();
  readonly #items: AsyncIterable<ImportItem>;
  readonly #options: LoadOptions;

  constructor(items: AsyncIterable<ImportItem>, options: LoadOptions) {
    this.#items = items;
    this.#options = options;
  }

  async *rows(): AsyncGenerator<InsertRow> {
    const { signal } = this.#options;
    for await (const { row, problem, bytes } of this.#items) {
      if (signal?.aborted) return;
      this.bytes += bytes;
      if (problem !== undefined) {
        this.problemCount += 1;
        await this.fail({ error: problem });
      }
      if (row !== undefined) yield row;
    }
  }

  async fail(failure: LoadFailure): Promise<void> {
    const { errorCode } = failure.error;
    this.failures.set(errorCode, (this.failures.get(errorCode) ?? 0) + 1);
    await this.#options.onFailure?.(failure);
  }
}

/** A thrown error in the form that an operation's failure has. */
export function failureOf(error: VolleyError): Failure {
  const { code, message, retriable, details } = error;
  return { ...details, errorCode: code, errorMessage: message, retriable };
}
