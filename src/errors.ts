import type { SearchResult, WriteResult } from './results.js';

/** Every code that Volley answers with, on every surface. Programs branch on these only. */
export const ERROR_CODES = [
  'INVALID_ID',
  'INVALID_VECTOR',
  'DIMENSION_MISMATCH',
  'INVALID_METADATA',
  'INVALID_QUERY',
  'INVALID_FILTER',
  'INVALID_ARGUMENT',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'DUPLICATE_ID',
  'CONDITION_FAILED',
  'BATCH_ABORTED',
  'IDEMPOTENCY_MISMATCH',
  'IDEMPOTENCY_IN_FLIGHT',
  'COLLECTION_NOT_FOUND',
  'COLLECTION_EXISTS',
  'BATCH_TOO_LARGE',
  'MEMORY_LIMIT_EXCEEDED',
  'OVERLOADED',
  'EMBEDDING_FAILED',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'STORE_LOCKED',
  'STORE_POISONED',
  'STORE_CLOSED',
  'CORRUPTED',
  'UNSUPPORTED',
  'INTERNAL',
] as const;

/** Machine-readable cause of a failure: one closed list. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What a {@link VolleyError} carries beside its code and message. */
export interface VolleyErrorOptions {
  /** Whether the same call may succeed later without being changed. Default: `false`. */
  retriable?: boolean;
  /** The values that the message names: `field`, `limit`, `actual`, `unit` and the like. */
  details?: Readonly<Record<string, unknown>>;
  /** What brought it about, where that was another error. */
  cause?: unknown;
}

/**
 * Every error that Volley throws or rejects with.
 *
 * Branch on `code`; the message is for people and may change.
 */
export class VolleyError extends Error {
  /** What programs branch on. */
  readonly code: ErrorCode;
  /** Whether the same call may succeed later without being changed. */
  readonly retriable: boolean;
  /** The values that the message names: `field`, `limit`, `actual`, `unit` and the like. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: VolleyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retriable = options.retriable ?? false;
    this.details = options.details ?? {};
  }

  static {
    // On the prototype, so that printing an error does not list it as one more property.
    VolleyError.prototype.name = 'VolleyError';
  }
}

/** The results that a {@link BatchError} can carry. */
export type BatchResult = WriteResult | SearchResult<object>;

/**
 * An atomic batch failed: nothing was applied.
 *
 * `code` and `details` are those of the first operation that failed for a reason of its own;
 * `result` lists every failing operation.
 */
export class BatchError<Result extends BatchResult = BatchResult> extends VolleyError {
  /** The whole result, as the call returns it with `onError: 'collect'`. */
  readonly result: Result;

  constructor(code: ErrorCode, message: string, result: Result, options?: VolleyErrorOptions) {
    super(code, message, options);
    this.result = result;
  }

  static {
    BatchError.prototype.name = 'BatchError';
  }
}

/**
 * The error of a failed atomic batch: its first failure that is not `BATCH_ABORTED`.
 *
 * @param embeddingFailure What its embedder threw; the cause of an `EMBEDDING_FAILED`.
 */
export function batchError(
  result: BatchResult,
  failedCount: number,
  embeddingFailure?: unknown,
): BatchError {
  const first = result.errors.find(({ errorCode }) => errorCode !== 'BATCH_ABORTED');
  if (first === undefined)
    return new BatchError('INTERNAL', 'a batch failed for no reason', result);
  const { errorCode, errorMessage, retriable, operationId: _, vectorId, ...details } = first;
  const message = `index ${first.index} of a batch of ${failedCount}: ${errorMessage}`;
  return new BatchError(errorCode, message, result, {
    retriable,
    details: { ...details, id: vectorId },
    cause: errorCode === 'EMBEDDING_FAILED' ? embeddingFailure : undefined,
  });
}
