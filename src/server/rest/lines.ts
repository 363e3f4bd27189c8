import { VolleyError } from '../../errors.js';

/** Consecutive lines of a stream, to be sent as one batch. */
export interface Chunk {
  /** Lines of the stream before this chunk. */
  readonly offset: number;
  readonly lines: readonly Buffer[];
  readonly bytes: number;
}

export interface ChunkLimits {
  /** Lines of a chunk, at most. */
  readonly lines: number;
  /** Bytes of a chunk, at most, and of one line. */
  readonly bytes: number;
}

const LINE_END = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Cuts a stream of lines into chunks; lines without text do not count.
 *
 * @throws VolleyError `BATCH_TOO_LARGE` for a line that is over the limit of bytes.
 */
export async function* chunksOf(
  stream: AsyncIterable<Buffer>,
  limits: ChunkLimits,
): AsyncGenerator<Chunk> {
  let offset = 0;
  let lines: Buffer[] = [];
  let bytes = 0;
  for await (const line of linesOf(stream, limits.bytes)) {
    if (lines.length === limits.lines || (lines.length > 0 && bytes + line.length > limits.bytes)) {
      yield { offset, lines, bytes };
      offset += lines.length;
      lines = [];
      bytes = 0;
    }
    lines.push(line);
    bytes += line.length;
  }
  if (lines.length > 0) yield { offset, lines, bytes };
}

async function* linesOf(stream: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer> {
  // Pieces of the line that has not ended yet; joined once, when it ends.
  let pieces: Buffer[] = [];
  let pending = 0;
  for await (const piece of stream) {
    let start = 0;
    for (;;) {
      const end = piece.indexOf(LINE_END, start);
      if (end < 0) break;
      const line = trimmed(Buffer.concat([...pieces, piece.subarray(start, end)]));
      pieces = [];
      pending = 0;
      start = end + 1;
      if (line.length > bytesMax) throw longLine(line.length, bytesMax);
      if (line.length > 0) yield line;
    }
    pieces.push(piece.subarray(start));
    pending += piece.length - start;
    if (pending > bytesMax) throw longLine(pending, bytesMax);
  }
  const last = trimmed(Buffer.concat(pieces));
  if (last.length > 0) yield last;
}

function trimmed(line: Buffer): Buffer {
  const end = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length;
  return line.subarray(0, end);
}

function longLine(actual: number, limit: number): VolleyError {
  const message = `a line is ${actual} bytes or more, the limit is ${limit} bytes`;
  return new VolleyError('BATCH_TOO_LARGE', message, {
    details: { field: 'body', limit, actual, unit: 'bytes' },
  });
}
