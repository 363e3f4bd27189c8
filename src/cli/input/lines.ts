/** Longest line of an NDJSON file, in bytes: a record of every largest part fits. */
export const LINE_BYTES_MAX = 16 * 1024 * 1024;

/** One line of a file: its text, or why it could not be read. */
export interface Line {
  /** Place in the file, counted from 1, blank lines included. */
  readonly number: number;
  /** Bytes of the file that end with this line, its line break included. */
  readonly endByte: number;
  /** The line without its line break; absent where `problem` is set. */
  readonly text?: string;
  /** Why the line could not be read: it is too long, or no UTF-8. */
  readonly problem?: string;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Cuts a byte stream into lines that end with `\n` or `\r\n`, in bounded memory.
 *
 * A bad line is reported in its place and the next ones are read on. Blank lines are left out.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number = LINE_BYTES_MAX,
): AsyncGenerator<Line> {
  let pieces: Uint8Array[] = [];
  let pending = 0;
  let number = 1;
  let endByte = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      if (pending <= bytesMax) pieces.push(chunk.subarray(start, end));
      pending += end - start;
      endByte += end + 1 - start;
      const line = decodeLine({ pieces, bytes: pending, number, endByte, bytesMax });
      if (line !== undefined) yield line;
      number += 1;
      pieces = [];
      pending = 0;
      start = end + 1;
    }
    const rest = chunk.length - start;
    if (rest > 0 && pending <= bytesMax) pieces.push(chunk.slice(start));
    pending += rest;
    endByte += rest;
    if (pending > bytesMax) pieces = [];
  }
  const line = decodeLine({ pieces, bytes: pending, number, endByte, bytesMax });
  if (line !== undefined) yield line;
}

interface RawLine {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly number: number;
  readonly endByte: number;
  readonly bytesMax: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeLine({ pieces, bytes, number, endByte, bytesMax }: RawLine): Line | undefined {
  if (bytes > bytesMax) {
    const problem = `line is ${bytes} bytes, the limit is ${bytesMax} bytes`;
    return { number, endByte, problem };
  }
  let whole: Uint8Array = Buffer.concat(pieces);
  if (whole.at(-1) === CARRIAGE_RETURN) whole = whole.subarray(0, -1);
  try {
    let text = decoder.decode(whole);
    if (number === 1 && text.startsWith('\uFEFF')) text = text.slice(1);
    return text.trim() === '' ? undefined : { number, endByte, text };
  } catch {
    return { number, endByte, problem: 'line is not valid UTF-8' };
  }
}

/** Counts the lines that {@link splitLines} yields, bad ones included. */
export async function countLines(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const _ of splitLines(chunks)) count += 1;
  return count;
}
