import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { VolleyError } from '../../errors.js';
import type { RequestMemory } from '../memory.js';

/** Bytes of a refused body that are read and thrown away, so that its sender hears why. */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;

/** A whole body, as it arrived. */
export interface Body {
  readonly pieces: Buffer[];
  /** How many there are in all pieces. */
  readonly bytes: number;
}

/** How long a body may keep its reader waiting. */
export interface Patience {
  readonly ms: number;
  /** `piece`: for each piece of a body that may be endless; `whole`: from the first to the last. */
  readonly over: 'whole' | 'piece';
  /** Aborted when the reader wants nothing more. */
  readonly left?: AbortSignal;
}

/**
 * The pieces of a body, decompressed, as they come. Leaving early leaves the request open, so that
 * it can be answered.
 *
 * @throws VolleyError `UNSUPPORTED` for an encoding that is not offered, `INVALID_ARGUMENT` where
 *   it is no gzip, `CANCELLED` where it is cut off, `DEADLINE_EXCEEDED` where it does not come.
 */
export async function* piecesOf(
  request: IncomingMessage,
  patience: Patience,
): AsyncGenerator<Buffer> {
  const stream = decoded(request);
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const look = (error?: Error) => {
    failure ??= error;
    wake?.();
  };
  const events = ['readable', 'end', 'close', 'error'];
  const listeners = events.map((event) => {
    const listener = (error?: Error) => look(event === 'error' ? error : undefined);
    stream.on(event, listener);
    return [event, listener] as const;
  });
  const leave = () => look(new Error('the reader has left'));
  patience.left?.addEventListener('abort', leave);
  const wait = () => {
    timer ??= setTimeout(() => look(lateBody(patience)), patience.ms);
  };
  try {
    for (;;) {
      const piece = stream.read() as Buffer | null;
      if (failure !== undefined) throw failure;
      if (piece !== null) {
        if (patience.over === 'piece') {
          clearTimeout(timer);
          timer = undefined;
        }
        yield piece;
      } else if (stream.readableEnded) {
        return;
      } else if (stream.destroyed) {
        throw new Error('the connection was closed');
      } else {
        wait();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } catch (cause) {
    throw bodyError(cause);
  } finally {
    clearTimeout(timer);
    patience.left?.removeEventListener('abort', leave);
    for (const [event, listener] of listeners) stream.off(event, listener);
    stream.on('error', () => undefined);
    if (stream !== request) {
      request.unpipe();
      stream.destroy();
    }
  }
}

/**
 * Reads a whole body, for whose bytes there is memory before they are kept.
 *
 * @returns Its pieces: put together they would take as much memory again.
 * @throws VolleyError `BATCH_TOO_LARGE` over the limit, `OVERLOADED` over the budget, and what
 *   {@link piecesOf} throws.
 */
export async function readBody(
  request: IncomingMessage,
  memory: RequestMemory,
  limits: { readonly requestBytesMax: number; readonly bodyArrivalMs: number },
): Promise<Body> {
  const { 'content-length': length, 'content-encoding': encoding = 'identity' } = request.headers;
  const declared = length === undefined ? undefined : Number(length);
  const bytesMax = limits.requestBytesMax;
  if (declared !== undefined && declared > bytesMax) throw tooLarge(declared, bytesMax);
  const expected = encoding === 'identity' ? declared : undefined;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(request, { ms: limits.bodyArrivalMs, over: 'whole' })) {
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge(bytes, bytesMax);
    await memory.grow(bytes, expected);
    pieces.push(piece);
  }
  return { pieces, bytes };
}

/** Reads on and keeps nothing; a sender who does not stop is cut off. */
export function discardBody(request: IncomingMessage): void {
  let left = DISCARDED_BYTES_MAX;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('error', () => undefined);
  request.unpipe();
  request.resume();
}

function decoded(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return request;
  if (encoding !== 'gzip') {
    throw new VolleyError('UNSUPPORTED', `content-encoding ${encoding} is not offered, only gzip`, {
      details: { field: 'content-encoding' },
    });
  }
  const gunzip = createGunzip();
  request.on('error', (error) => gunzip.destroy(error));
  request.on('aborted', () => gunzip.destroy(new Error('the body was cut off')));
  return request.pipe(gunzip);
}

/** Why a body could not be read. */
function bodyError(failure: unknown): VolleyError {
  if (failure instanceof VolleyError) return failure;
  const { code = '', message } = failure as NodeJS.ErrnoException;
  if (code.startsWith('Z_')) {
    return new VolleyError('INVALID_ARGUMENT', `the body is no gzip: ${message}`, {
      details: { field: 'body' },
    });
  }
  return new VolleyError('CANCELLED', 'the body was cut off', { cause: failure, retriable: true });
}

function tooLarge(actual: number, limit: number): VolleyError {
  const message = `the body is ${actual} bytes or more, the limit is ${limit} bytes`;
  return new VolleyError('BATCH_TOO_LARGE', message, {
    details: { field: 'body', limit, actual, unit: 'bytes' },
  });
}

function lateBody({ ms, over }: Patience): VolleyError {
  const what = over === 'whole' ? 'the body has not come' : 'nothing more of the body has come';
  return new VolleyError('DEADLINE_EXCEEDED', `${what} within ${ms} ms`, {
    retriable: true,
    details: { field: 'body', limit: ms, unit: 'ms' },
  });
}
