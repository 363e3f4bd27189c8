import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { VolleyError } from '../../errors.js';
import type { CallContext } from '../../native/door.js';
import type { Engine } from '../engine.js';
import type { Pass } from '../gate.js';
import { volleyError } from '../service.js';
import { bodyError, bodyStream } from './body.js';
import { type Chunk, chunksOf } from './lines.js';
import type { Route } from './routes.js';

const CHUNK_LINES_MAX = 1000;
const CHUNK_BYTES_MAX = 8 * 1024 * 1024;

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
}

/**
 * Takes in a body of lines, one operation each, as best-effort batches, and answers with lines:
 * `{"offset", "operations", "reply"}` for each batch as it is done, `{"summary"}` at the end, or
 * `{"error", "summary"}` where the stream ends early; all before `offset` stands then.
 *
 * The body is read no faster than batches are written and replies are read.
 *
 * @returns The code that it ended with, and the bytes that came and went.
 */
export async function writeLines(
  request: IncomingMessage,
  response: ServerResponse,
  stream: LineStream,
): Promise<{ code: string; bytesIn: number; bytesOut: number }> {
  const summary: Summary = { operations: 0, failed_count: 0 };
  const sizes = { bytesIn: 0, bytesOut: 0 };
  const send = async (line: string) => {
    sizes.bytesOut += Buffer.byteLength(line);
    if (!response.write(line)) await once(response, 'drain', { signal: gone.signal });
  };
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let code = 'OK';
  try {
    refuseUnfit(stream.fields);
    const body = bodyStream(request);
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    // One after another, so that what was done is all that came before an offset.
    for await (const chunk of chunksOf(body, { lines: CHUNK_LINES_MAX, bytes: CHUNK_BYTES_MAX })) {
      sizes.bytesIn += chunk.bytes;
      stream.pass.reserve(chunk.bytes);
      const reply = Buffer.from(await sendChunk(stream, chunk));
      stream.pass.release(chunk.bytes);
      await send(replyLine(chunk, reply, summary));
    }
    await send(`${JSON.stringify({ summary })}\n`);
  } catch (failure) {
    if (!response.headersSent) throw failure;
    const error = failure instanceof VolleyError ? failure : bodyError(failure);
    code = error.code;
    if (!gone.signal.aborted) response.write(`${JSON.stringify(ending(error, summary))}\n`);
  }
  response.end();
  return { code, ...sizes };
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
  chunk: Chunk,
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
    context,
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
