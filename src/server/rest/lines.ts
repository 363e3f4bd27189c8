import { VolleyError } from '../../errors.js';
import { Gathering, type GatheringLimits } from '../../stream/gathering.js';

/** Consecutive lines of a stream, to be sent as one batch. */
export interface Chunk {
  /** Lines of the stream before this chunk. */
  readonly offset: number;
  readonly lines: readonly Buffer[];
  readonly bytes: number;
}

const LINE_END = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BACKSLASH = 0x5c;

/**
 * Cuts a stream of lines into chunks, never through a group; lines without text do not count.
 *
 * @throws VolleyError `BATCH_TOO_LARGE` for a line or a group that is over the limit of bytes.
 */
export async function* chunksOf(
  stream: AsyncIterable<Buffer>,
  limits: GatheringLimits,
): AsyncGenerator<Chunk> {
  let offset = 0;
  const gathering = new Gathering<Buffer>();
  for await (const line of linesOf(stream, limits.bytes)) {
    gathering.add(line, line.length, groupOf(line));
    for (let full = gathering.take(limits); full !== undefined; full = gathering.take(limits)) {
      yield { offset, lines: full.items, bytes: full.bytes };
      offset += full.items.length;
    }
    gathering.check(limits);
  }
  const { items: lines, bytes } = gathering.takeAll();
  if (lines.length > 0) yield { offset, lines, bytes };
}

/** The group that a line names. Only a line that may name one is parsed. */
function groupOf(line: Buffer): string | undefined {
  if (!line.includes('"group"') && !line.includes(BACKSLASH)) return undefined;
  try {
    const { group } = JSON.parse(line.toString('utf8')) as { group?: unknown };
    return typeof group === 'string' ? group : undefined;
  } catch {
    // The engine says what is wrong with it.
    return undefined;
  }
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
