import type { StreamFailure } from './results.js';

/**
 * A failure as one line of NDJSON: the operation as it came, and beside it `error`, with the code,
 * the message and the `offset`. `volley import` reads such a file again; so does a program that
 * takes `error` off with {@link itemOfLine}.
 *
 * @example
 * const onFailure = (failure) => file.appendFile(failureLine(failure));
 * await collection.insertStream(source, { onFailure }).summary;
 */
export function failureLine({ item, offset, error }: StreamFailure): string {
  const operation = typeof item === 'string' ? { id: item } : (item as object | null);
  return `${JSON.stringify({ ...operation, error: { ...error, offset } }, plainNumbers)}\n`;
}

/** The operation of a line that {@link failureLine} wrote, to be tried again. */
export function itemOfLine(line: string): unknown {
  const { error: _, ...operation } = JSON.parse(line) as Record<string, unknown>;
  return operation;
}

function plainNumbers(_: string, value: unknown): unknown {
  return ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value;
}
