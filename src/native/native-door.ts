import { randomUUID } from 'node:crypto';
import type { WireOptions } from '../options.js';
import { binding, type CallContext, type NativeStore } from './binding.js';
import { type Door, parseReply, type Reply } from './door.js';

/** The door to the engine in this process. */
export class NativeDoor implements Door {
  readonly #native: NativeStore;
  readonly #prefix = randomUUID();
  #batches = 0;

  private constructor(native: NativeStore) {
    this.#native = native;
  }

  static async open(path: string, options: string): Promise<NativeDoor> {
    const { NativeStore } = binding();
    const native = new NativeStore(path, Buffer.from(options));
    parseReply(await native.open());
    return new NativeDoor(native);
  }

  async call(
    verb: string,
    header: WireOptions | string,
    block?: Float32Array,
    context?: CallContext,
  ): Promise<Reply> {
    const body = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    return parseReply(await this.#native.call(verb, 'json', body, block, context));
  }

  newBatchId(): string {
    this.#batches += 1;
    return `${this.#prefix}-${this.#batches}`;
  }

  async close(): Promise<void> {
    parseReply(await this.#native.close());
  }
}
