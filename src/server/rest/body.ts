import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { VolleyError } from '../../errors.js';
import type { Pass } from '../gate.js';

/** Bytes of a refused body that are read and thrown away, so that its sender hears why. */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The bytes of a body, decompressed, as they come.
 *
 * @throws VolleyError `UNSUPPORTED` for an encoding that is not offered.
 */
export function bodyStream(request: IncomingMessage): Readable {
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

/**
 * Reads a whole body, whose bytes the pass takes in before they are kept.
 *
 * @throws VolleyError `BATCH_TOO_LARGE` over the limit, `OVERLOADED` over the budget,
 *   `INVALID_ARGUMENT` where it is no gzip, `CANCELLED` where it is cut off.
 */
export async function readBody(
  request: IncomingMessage,
  pass: Pass,
  bytesMax: number,
): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > bytesMax) throw tooLarge(declared, bytesMax);
  const stream = bodyStream(request);
  let reserved = declared;
  pass.reserve(reserved);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw tooLarge(bytes, bytesMax);
      if (bytes > reserved) {
        pass.reserve(bytes - reserved);
        reserved = bytes;
      }
      chunks.push(chunk);
    }
  } catch (failure) {
    throw bodyError(failure);
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, bytes);
}

/** Why a body could not be read. */
export function bodyError(failure: unknown): VolleyError {
  if (failure instanceof VolleyError) return failure;
  const { code = '', message } = failure as NodeJS.ErrnoException;
  if (code.startsWith('Z_')) {
    return new VolleyError('INVALID_ARGUMENT', `the body is no gzip: ${message}`, {
      details: { field: 'body' },
    });
  }
  return new VolleyError('CANCELLED', 'the body was cut off', { cause: failure, retriable: true });
}

/** Reads on and keeps nothing; a sender who does not stop is cut off. */
export function discardBody(request: IncomingMessage): void {
  let left = DISCARDED_BYTES_MAX;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('error', () => undefined);
  request.resume();
}

function tooLarge(actual: number, limit: number): VolleyError {
  const message = `the body is ${actual} bytes or more, the limit is ${limit} bytes`;
  return new VolleyError('BATCH_TOO_LARGE', message, {
    details: { field: 'body', limit, actual, unit: 'bytes' },
  });
}
