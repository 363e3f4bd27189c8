import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Deadline } from '../../deadline.js';
import { VolleyError } from '../../errors.js';
import { unlessAborted } from '../../interrupt.js';
import type { CallContext } from '../../native/door.js';
import type { Engine } from '../engine.js';
import type { Pass } from '../gate.js';
import { volleyError } from '../service.js';
import { discardBody, piecesOf } from './body.js';
import { type Chunk, chunksOf } from './lines.js';
import type { Route } from './routes.js';
import { BATCH_ID_HEADER, NDJSON_TYPE } from './types.js';

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
 * `{"error", "offset", "summary"}` where it ends early; all before `offset` stands then. Offsets
 * are those of the whole stream, of which the body may be a later part.
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
  refuseUnfit(stream);
  const { deadlineMs } = stream.context;
  const late = new AbortController();
  const deadline =
    deadlineMs === undefined
      ? undefined
      : new Deadline(deadlineMs, () => late.abort(deadlineExceeded(deadlineMs)));
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
  const limits = { count: CHUNK_LINES_MAX, bytes: stream.engine.chunkBytesMax };
  const chunks = new ReservedChunks(stream, chunksOf(pieces, limits));
  try {
    let next = chunks.next();
    for (;;) {
      const chunk = await unlessAborted(late.signal, next);
      if (chunk === undefined) break;
      // What is wrong before the first batch is a refusal like any other.
      if (!response.headersSent) response.writeHead(200, { 'content-type': NDJSON_TYPE });
      sizes.bytesIn += chunk.bytes;
      // One batch after another, so that what was done is all that came before an offset.
      const sent = sendChunk(stream, chunk, deadline);
      next = chunks.next();
      // Its failure is met when it is its turn.
      next.catch(() => undefined);
      const reply = Buffer.from(await sent.finally(() => chunks.done(chunk)));
      await send(replyLine(stream, chunk, reply, summary));
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': NDJSON_TYPE });
    await send(`${JSON.stringify({ summary })}\n`);
  } catch (failure) {
    if (!response.headersSent) throw failure;
    const error = volleyError(failure);
    code = gone.signal.aborted ? 'CANCELLED' : error.code;
    if (!gone.signal.aborted) {
      response.write(`${JSON.stringify(ending(stream, error, summary))}\n`);
    }
  } finally {
    deadline?.end();
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

function deadlineExceeded(deadlineMs: number): VolleyError {
  const message = `the deadline of ${deadlineMs} ms has passed`;
  const details = { deadline_ms: deadlineMs };
  return new VolleyError('DEADLINE_EXCEEDED', message, { retriable: true, details });
}

/** A body of lines is many batches: what holds for one alone is refused. */
function refuseUnfit({ fields, context }: LineStream): void {
  const { atomic, idempotency_key } = fields;
  if (atomic === true) throw unfit('atomic', 'a body of lines is best effort');
  const resumable = 'a body of lines can be resumed by stream_id and offset';
  if (idempotency_key !== undefined) throw unfit('idempotency_key', resumable);
  const many = 'a body of lines is many batches, each with a name of its own';
  if (context.batchId !== undefined) throw unfit(BATCH_ID_HEADER, many);
}

function unfit(field: string, reason: string): VolleyError {
  return new VolleyError('UNSUPPORTED', `${reason}; ${field} is not offered`, {
    details: { field },
  });
}

/** Where a chunk stands in the stream, of which the body may be a later part. */
function offsetOf({ offset = 0 }: Readonly<Record<string, unknown>>, chunk: { offset: number }) {
  return Number(offset) + chunk.offset;
}

const COMMA = Buffer.from(',');
const END = Buffer.from(']}');

function sendChunk(
  { route, engine, fields, context }: LineStream,
  chunk: ReservedChunk,
  deadline: Deadline | undefined,
): Promise<Uint8Array> {
  const left = deadline === undefined ? {} : { deadlineMs: deadline.leftMs };
  const part = fields.stream_id === undefined ? {} : { offset: offsetOf(fields, chunk) };
  const pieces: Buffer[] = [Buffer.from(`{"${route.stream}":[`)];
  for (const [index, line] of chunk.lines.entries()) {
    if (index > 0) pieces.push(COMMA);
    pieces.push(line);
  }
  pieces.push(END);
  return engine.send({
    verb: route.verb,
    beside: { ...fields, ...part, atomic: false },
    format: 'json',
    body: Buffer.concat(pieces),
    collection: fields.collection as string,
    context: { ...context, ...left, reservation: chunk.reservation },
  });
}

function replyLine({ fields }: LineStream, chunk: Chunk, reply: Buffer, summary: Summary): string {
  const text = reply.toString('utf8');
  const counts = JSON.parse(text) as Record<string, number>;
  summary.operations += chunk.lines.length;
  for (const name of COUNTS) {
    const count = counts[name];
    if (count !== undefined) summary[name] = (summary[name] ?? 0) + count;
  }
  const offset = offsetOf(fields, chunk);
  return `{"offset":${offset},"operations":${chunk.lines.length},"reply":${text}}\n`;
}

function ending({ fields }: LineStream, failure: unknown, summary: Summary): object {
  const { code, message, retriable, details } = volleyError(failure);
  const error = { ...details, error_code: code, error_message: message, retriable };
  return { error, offset: offsetOf(fields, { offset: summary.operations }), summary };
}
