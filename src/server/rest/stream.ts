import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { VolleyError } from '../../errors.js';
import type { CallContext } from '../../native/door.js';
import type { Engine } from '../engine.js';
import type { Pass } from '../gate.js';
import { volleyError } from '../service.js';
import { discardBody, piecesOf } from './body.js';
import { type Chunk, chunksOf } from './lines.js';
import type { Route } from './routes.js';
import { NDJSON_TYPE } from './types.js';

const CHUNK_LINES_MAX = 1000;

/** Bytes that the first chunk is taken for. */
const CHUNK_BYTES_GUESS = 64 * 1024;

/** What a stream has done so far. */
interface Summary {
  operations: number;
  failed_count: number;
  [count: string]: number;
}

const COUNTS = [
  'inserted_count',
  'updated_count',
  'deleted_count',
  'failed_count',
  'skipped_count',
  'unchanged_count',
] as const;

export interface LineStream {
  readonly route: Route;
  readonly engine: Engine;
  readonly pass: Pass;
  /** The batch's options, and the collection. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly context: CallContext;
  /** Milliseconds without a byte after which the caller is given up. */
  readonly silenceMs: number;
}

/**
 * Takes in a body of lines, one operation each, as best-effort batches, and answers with lines:
 * `{"offset", "operations", "reply"}` for each batch as it is done, `{"summary"}` at the end, or
 * `{"error", "summary"}` where the stream ends early; all before `offset` stands then.
 *
 * The body is read no faster than batches are written, replies are read and memory is free: one
 * batch is in the engine while the next one comes.
 *
 * @returns The code that it ended with, and the bytes that came and went.
 */
export async function writeLines(
  request: IncomingMessage,
  response: ServerResponse,
  stream: LineStream,
): Promise<{ code: string; bytesIn: number; bytesOut: number }> {
  refuseUnfit(stream.fields);
  const summary: Summary = { operations: 0, failed_count: 0 };
  const sizes = { bytesIn: 0, bytesOut: 0 };
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const send = async (line: string) => {
    sizes.bytesOut += Buffer.byteLength(line);
    if (!response.write(line)) await once(response, 'drain', { signal: gone.signal });
  };
  let code = 'OK';
  const left = new AbortController();
  const patience = { ms: stream.silenceMs, over: 'piece', left: left.signal } as const;
  const pieces = piecesOf(request, patience);
  const limits = { lines: CHUNK_LINES_MAX, bytes: stream.engine.chunkBytesMax };
  const chunks = new ReservedChunks(stream, chunksOf(pieces, limits));
  try {
    let next = chunks.next();
    for (let chunk = await next; chunk !== undefined; chunk = await next) {
      // What is wrong before the first batch is a refusal like any other.
      if (!response.headersSent) response.writeHead(200, { 'content-type': NDJSON_TYPE });
      sizes.bytesIn += chunk.bytes;
      // One batch after another, so that what was done is all that came before an offset.
      const sent = sendChunk(stream, chunk);
      next = chunks.next();
      // Its failure is met when it is its turn.
      next.catch(() => undefined);
      const reply = Buffer.from(await sent.finally(() => chunks.done(chunk)));
      await send(replyLine(chunk, reply, summary));
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': NDJSON_TYPE });
    await send(`${JSON.stringify({ summary })}\n`);
  } catch (failure) {
    if (!response.headersSent) throw failure;
    const error = volleyError(failure);
    code = gone.signal.aborted ? 'CANCELLED' : error.code;
    if (!gone.signal.aborted) response.write(`${JSON.stringify(ending(error, summary))}\n`);
  } finally {
    left.abort();
    await chunks.leave();
  }
  response.end();
  if (!request.complete) discardBody(request);
  return { code, ...sizes };
}

interface ReservedChunk extends Chunk {
  readonly reservation: number;
  /** Bytes that were reserved ahead of reading it. */
  readonly reservedBytes: number;
}

/** Chunks for which there was memory before they were read; the next is taken for as large. */
class ReservedChunks {
  readonly #stream: LineStream;
  readonly #chunks: AsyncGenerator<Chunk>;
  #bytes = CHUNK_BYTES_GUESS;
  #last: Promise<ReservedChunk | undefined> = Promise.resolve(undefined);

  constructor(stream: LineStream, chunks: AsyncGenerator<Chunk>) {
    this.#stream = stream;
    this.#chunks = chunks;
  }

  /** The next chunk; called once the one before was handed over. */
  next(): Promise<ReservedChunk | undefined> {
    this.#last = this.#read();
    return this.#last;
  }

  /** A chunk is answered. */
  done({ reservedBytes }: ReservedChunk): void {
    this.#stream.pass.giveBack(reservedBytes);
  }

  /** Nothing more is wanted: gives back what was read ahead. */
  async leave(): Promise<void> {
    const last = this.#last.catch(() => undefined);
    void last.then((chunk) => chunk && this.#stream.engine.release(chunk.reservation));
    await this.#chunks.return(undefined);
  }

  async #read(): Promise<ReservedChunk | undefined> {
    const { engine, pass } = this.#stream;
    const reservedBytes = this.#bytes;
    await pass.takeInTurn(reservedBytes);
    let reservation: number | undefined;
    let chunk: Chunk | undefined;
    try {
      reservation = await engine.reserve(reservedBytes, { waits: true });
      const { value, done } = await this.#chunks.next();
      chunk = done === true ? undefined : value;
    } finally {
      if (chunk === undefined) {
        pass.giveBack(reservedBytes);
        if (reservation !== undefined) await engine.release(reservation);
      }
    }
    if (chunk === undefined || reservation === undefined) return undefined;
    this.#bytes = chunk.bytes;
    return { ...chunk, reservation, reservedBytes };
  }
}

/** A body of lines is many batches: what holds for one alone is refused. */
function refuseUnfit({ atomic, idempotency_key }: Readonly<Record<string, unknown>>): void {
  if (atomic === true) {
    throw new VolleyError('UNSUPPORTED', 'a body of lines is best effort; atomic is not offered', {
      details: { field: 'atomic' },
    });
  }
  if (idempotency_key === undefined) return;
  const message = 'a body of lines takes no idempotency_key; give stream_id and offset';
  throw new VolleyError('UNSUPPORTED', message, { details: { field: 'idempotency_key' } });
}

/** Where a chunk stands in a stream that can be resumed. */
function partOf({ stream_id, offset = 0 }: Readonly<Record<string, unknown>>, chunk: Chunk) {
  return stream_id === undefined ? {} : { offset: Number(offset) + chunk.offset };
}

const COMMA = Buffer.from(',');
const END = Buffer.from(']}');

function sendChunk(
  { route, engine, fields, context }: LineStream,
  chunk: ReservedChunk,
): Promise<Uint8Array> {
  const pieces: Buffer[] = [Buffer.from(`{"${route.stream}":[`)];
  for (const [index, line] of chunk.lines.entries()) {
    if (index > 0) pieces.push(COMMA);
    pieces.push(line);
  }
  pieces.push(END);
  return engine.send({
    verb: route.verb,
    beside: { ...fields, ...partOf(fields, chunk), atomic: false },
    format: 'json',
    body: Buffer.concat(pieces),
    collection: fields.collection as string,
    context: { ...context, reservation: chunk.reservation },
  });
}

function replyLine(chunk: Chunk, reply: Buffer, summary: Summary): string {
  const text = reply.toString('utf8');
  const counts = JSON.parse(text) as Record<string, number>;
  summary.operations += chunk.lines.length;
  for (const name of COUNTS) {
    const count = counts[name];
    if (count !== undefined) summary[name] = (summary[name] ?? 0) + count;
  }
  const { offset, lines } = chunk;
  return `{"offset":${offset},"operations":${lines.length},"reply":${text}}\n`;
}

function ending(failure: unknown, summary: Summary): object {
  const { code, message, retriable, details } = volleyError(failure);
  const error = { ...details, error_code: code, error_message: message, retriable };
  return { error, offset: summary.operations, summary };
}
