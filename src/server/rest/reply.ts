import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type ErrorCode, VolleyError } from '../../errors.js';
import type { Format } from '../../native/door.js';
import { STATUS } from '../status.js';
import type { Route } from './routes.js';

const gzipped = promisify(gzip);

/** Replies below this size are sent as they are. */
const COMPRESSED_BYTES_MIN = 2048;

const FAILED = Buffer.from('"status":"failed"}');
const RECORD_PREFIX = Buffer.from('{"vectors":[');
const RECORD_SUFFIX = Buffer.from(']}');
/** Names may be written with escapes. */
const MAY_SAY_ATOMIC = /"atomic"|\\u/;

const BATCH_VERBS = ['insert', 'update', 'delete', 'write', 'search'];

/** What a batch was asked with. */
export interface Asked {
  /** What its body is written in. */
  readonly format: Format;
  /** The body's pieces. */
  readonly body: readonly Uint8Array[];
  /** The fields that came beside the body. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Whether a write that does not say is atomic. */
  readonly atomicByDefault: boolean;
}

/**
 * The status of a reply: that of its route; of a failed atomic batch, the status of its first
 * failure that is not `BATCH_ABORTED`.
 */
export function replyStatus(
  route: Route,
  reply: Uint8Array,
  asked: Asked,
): { status: number; code: string } {
  const done = { status: route.status ?? 200, code: 'OK' };
  if (!BATCH_VERBS.includes(route.verb) || !endsWith(reply, FAILED)) return done;
  if (!isAtomic(route.verb, asked)) return done;
  const { errors } = JSON.parse(textOf(reply)) as { errors: { error_code: ErrorCode }[] };
  const first = errors.find(({ error_code }) => error_code !== 'BATCH_ABORTED');
  const code = first?.error_code ?? 'BATCH_ABORTED';
  return { status: STATUS[code].http, code };
}

/** Looked up only for a batch that failed, and whose body may say it. */
function isAtomic(verb: string, { format, body, fields, atomicByDefault }: Asked): boolean {
  const byDefault = verb === 'search' ? false : atomicByDefault;
  if (typeof fields.atomic === 'boolean') return fields.atomic;
  const whole = Buffer.concat(body);
  const end = format === 'float32' ? whole.indexOf(0x0a) : whole.length;
  const text = textOf(whole.subarray(0, end));
  if (!MAY_SAY_ATOMIC.test(text)) return byDefault;
  const { atomic } = JSON.parse(text) as { atomic?: boolean | null };
  return atomic ?? byDefault;
}

/**
 * The record of a reply to a request for one.
 *
 * @throws VolleyError `NOT_FOUND`.
 */
export function onlyRecord(reply: Uint8Array, id: string): Uint8Array {
  const record = reply.subarray(RECORD_PREFIX.length, reply.length - RECORD_SUFFIX.length);
  if (textOf(record.subarray(0, 4)) !== 'null') return record;
  throw new VolleyError('NOT_FOUND', `no record has the id ${JSON.stringify(id)}`, {
    details: { id },
  });
}

/** A reply's bytes as they are sent. */
export async function encodedReply(
  reply: Uint8Array,
  accepted: string | undefined,
): Promise<{ bytes: Uint8Array; headers: Record<string, string> }> {
  const vary = { vary: 'accept-encoding, origin' };
  if (
    reply.length < COMPRESSED_BYTES_MIN ||
    !/\bgzip\b(?!\s*;\s*q=0(\.0*)?\b)/.test(accepted ?? '')
  )
    return { bytes: reply, headers: vary };
  // The fastest level: a reply waits for it.
  const bytes = await gzipped(reply, { level: 1 });
  return { bytes, headers: { ...vary, 'content-encoding': 'gzip' } };
}

function endsWith(bytes: Uint8Array, suffix: Uint8Array): boolean {
  const start = bytes.length - suffix.length;
  return start >= 0 && suffix.every((byte, index) => bytes[start + index] === byte);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
