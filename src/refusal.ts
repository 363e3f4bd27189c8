import type { ErrorCode } from './errors.js';
import type { Failure } from './results.js';

/**
 * Why one row cannot be written as JSON. Such a row is sent without its id, which the engine
 * refuses for that row alone; the reason found here then stands in the reply.
 */
export interface Refusal {
  /** The row's id, where it is a string that can be shown. */
  readonly id: string | null;
  /** What the reply says of the row. */
  readonly failure: Failure;
}

/** A refusal of one field. */
export function refusal(
  code: ErrorCode,
  field: string,
  reason: string,
  id: unknown = null,
): Refusal {
  return {
    id: shownId(id),
    failure: {
      errorCode: code,
      errorMessage: `${field} ${reason}`,
      retriable: false,
      field,
    },
  };
}

/** An id that a reply can show; `null` for any other value. */
export function shownId(id: unknown): string | null {
  return typeof id === 'string' && id.isWellFormed() ? id : null;
}
