import { type ErrorCode, VolleyError, type VolleyErrorOptions } from '../errors.js';
import type { StreamFailure, StreamSummary } from './results.js';

/** A stream was ended by an error, or an atomic one failed; `summary` tells what became of it. */
export class StreamError extends VolleyError {
  /** What became of the stream. */
  readonly summary: StreamSummary;

  constructor(
    code: ErrorCode,
    message: string,
    summary: StreamSummary,
    options?: VolleyErrorOptions,
  ) {
    super(code, message, options);
    this.summary = summary;
  }

  static {
    StreamError.prototype.name = 'StreamError';
  }
}

/**
 * The error of a stream that did not come to its end, or that failed as a whole.
 *
 * @param first Its first failure of an operation's own, whether or not the summary lists it.
 */
export function streamError(
  summary: StreamSummary,
  cause: unknown,
  first: StreamFailure | undefined,
): StreamError {
  if (cause instanceof VolleyError) {
    const { code, message, retriable, details } = cause;
    return new StreamError(code, message, summary, { retriable, details, cause });
  }
  if (cause !== undefined) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the stream was ended by its source or a call-back: ${reason}`;
    return new StreamError('CANCELLED', message, summary, { retriable: true, cause });
  }
  if (first === undefined) {
    return new StreamError('BATCH_ABORTED', 'the atomic stream was not committed', summary);
  }
  const { errorCode, errorMessage, retriable, ...details } = first.error;
  const message = `offset ${first.offset} of an atomic stream: ${errorMessage}`;
  return new StreamError(errorCode, message, summary, {
    retriable,
    details: { ...details, id: first.id, offset: first.offset },
  });
}
