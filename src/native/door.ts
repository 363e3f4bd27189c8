import { randomUUID } from 'node:crypto';
import { replyError } from '../decode.js';
import { type ErrorCode, VolleyError } from '../errors.js';
import { binding, type CallContext, type NativeStore } from './binding.js';

export type { CallContext } from './binding.js';

/** A reply, parsed but not yet checked for its shape. */
export type Reply = Record<string | symbol, unknown>;

/** What a batch that cannot be stopped any more is answered with. */
const GONE: readonly ErrorCode[] = ['NOT_FOUND', 'STORE_CLOSED'];

/** The one way to the engine: JSON and numbers in, JSON out, refusals as errors. */
export class Door {
  readonly #native: NativeStore;
  readonly #prefix = randomUUID();
  #batches = 0;

  private constructor(native: NativeStore) {
    this.#native = native;
  }

  static async open(path: string, options: string): Promise<Door> {
    const { NativeStore } = binding();
    const native = new NativeStore(path, Buffer.from(options));
    parse(await native.open());
    return new Door(native);
  }

  /** One request. What it is given is copied before it returns. */
  async call(
    verb: string,
    header: string,
    block?: Float32Array,
    context?: CallContext,
  ): Promise<Reply> {
    return parse(await this.#native.call(verb, 'json', Buffer.from(header), block, context));
  }

  /** A name for a batch that no other batch of this process has. */
  newBatchId(): string {
    this.#batches += 1;
    return `${this.#prefix}-${this.#batches}`;
  }

  /** Stops a batch before its commit; one that has committed or is gone goes on as it is. */
  async cancel(batchId: string, reason: 'cancelled' | 'deadline' = 'cancelled'): Promise<void> {
    try {
      await this.call('batches.cancel', JSON.stringify({ batch_id: batchId, reason }));
    } catch (error) {
      const gone = error instanceof VolleyError && GONE.includes(error.code);
      if (!gone) throw error;
    }
  }

  async close(): Promise<void> {
    parse(await this.#native.close());
  }
}

function parse(bytes: Uint8Array): Reply {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const reply = JSON.parse(text) as Reply;
  if (reply.error !== undefined) throw replyError(reply.error as Reply);
  return reply;
}
