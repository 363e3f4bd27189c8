import type { StreamFailure } from './results.js';

/**
 * A failure as one line of NDJSON: the operation as it came, so that the line is valid input
 * again once its `error` and `offset` are taken off, as `volley import` does.
 *
 * @example
 * await rows.insertStream(source, { onFailure: (failure) => file.write(failureLine(failure)) }).summary;
 */
export function failureLine(failure: StreamFailure): string {
  const { item, offset, error } = failure;
  const operation = typeof item === 'string' ? { id: item } : (item as object | null);
  const { errorCode, errorMessage, retriable, ...details } = error;
  const told = { error_code: errorCode, error_message: errorMessage, retriable, ...details };
  const line = { ...operation, offset, error: told };
  return `${JSON.stringify(line, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value))}\n`;
}
