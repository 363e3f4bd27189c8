import { randomUUID } from 'node:crypto';
import type { WireOptions } from '../options.js';
import { binding, type CallContext, type NativeStore } from './binding.js';
import { type Door, type Format, parseReply, type Reply } from './door.js';
import { unpackMatches } from './packed.js';
import { Turns } from './turns.js';

/** Bytes from which on to encode such a call takes a noticeable part of a turn of the event loop. */
const LARGE_BYTES = 128 << 10;

/** The door to the engine in this process. */
export class NativeDoor implements Door {
  readonly isOrdered = true;
  readonly #native: NativeStore;
  readonly #prefix = randomUUID();
  readonly #turns = new Turns();
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
    const reply = await this.#native.call(verb, 'packed', body, block, context);
    if (body.length + (block?.byteLength ?? 0) >= LARGE_BYTES) await this.#turns.next();
    return parsePacked(reply);
  }

  /**
   * One request whose body stays as it came.
   *
   * @param line The verb and, behind a space, the fields that came beside the body as JSON.
   * @param body All of it, or the pieces in which it arrived.
   * @returns The reply in the body's format; refusals are JSON whatever the format.
   */
  send(
    line: string,
    format: Format,
    body: Uint8Array | Uint8Array[],
    context: CallContext,
    block?: Float32Array,
  ): Promise<Uint8Array> {
    return this.#native.call(line, format, body, block, context);
  }

  newBatchId(): string {
    this.#batches += 1;
    return `${this.#prefix}-${this.#batches}`;
  }

  async close(): Promise<void> {
    parseReply(await this.#native.close());
  }
}

function parsePacked({ buffer, byteOffset, byteLength }: Uint8Array): Reply {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  // No JSON has a zero byte.
  const end = bytes.indexOf(0);
  if (end === -1) return parseReply(bytes);
  const reply = parseReply(bytes.subarray(0, end));
  unpackMatches(reply, bytes.subarray(end + 1));
  return reply;
}
