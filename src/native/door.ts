import { replyError } from '../decode.js';
import type { WireOptions } from '../options.js';
import type { CallContext } from './binding.js';

export type { CallContext } from './binding.js';

/** A reply, parsed but not yet checked for its shape. */
export type Reply = Record<string | symbol, unknown>;

/** What a body, and the reply to it, is written in; `packed` is for this process only. */
export type Format = 'json' | 'packed' | 'float32' | 'protobuf';

/**
 * The one way to an engine, in this process or behind a server: JSON and numbers in, JSON out,
 * refusals as errors.
 */
export interface Door {
  /** Whether calls take effect in the order in which they are made, while earlier ones still run. */
  readonly isOrdered: boolean;
  /** One request. What it is given is copied before it returns; a header may be JSON already. */
  call(
    verb: string,
    header: WireOptions | string,
    block?: Float32Array,
    context?: CallContext,
  ): Promise<Reply>;
  /** A name for a batch that no other batch has. */
  newBatchId(): string;
  close(): Promise<void>;
}

/**
 * Parses a reply.
 *
 * @throws VolleyError Where it is a refusal.
 */
export function parseReply(bytes: Uint8Array): Reply {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const reply = JSON.parse(text) as Reply;
  if (reply.error !== undefined) throw replyError(reply.error as Reply);
  return reply;
}
