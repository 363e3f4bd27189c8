import { replyError } from '../decode.js';
import { binding, type NativeStore } from './binding.js';

/** A reply, parsed but not yet checked for its shape. */
export type Reply = Record<string | symbol, unknown>;

/** The one way to the engine: JSON and numbers in, JSON out, refusals as errors. */
export class Door {
  readonly #native: NativeStore;

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
  async call(verb: string, header: string, block?: Float32Array): Promise<Reply> {
    return parse(await this.#native.call(verb, 'json', Buffer.from(header), block));
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
