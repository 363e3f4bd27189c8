import { type EmbedderIdentity, embedTexts, reasonOf } from '../embedder.js';
import { VolleyError } from '../errors.js';
import { type CallContext, type Format, parseReply } from '../native/door.js';
import { NativeDoor } from '../native/native-door.js';
import { Store } from '../store.js';

/** One request as a carrier hands it on: its body stays as it came. */
export interface EngineRequest {
  readonly verb: string;
  /** The fields that came beside the body: a collection in a path, a key in a header. */
  readonly beside: Readonly<Record<string, unknown>>;
  readonly format: Format;
  /** All of it, or the pieces in which it arrived. */
  readonly body: Uint8Array | Uint8Array[];
  /** The collection, where the carrier knows it: its embedder may be asked for. */
  readonly collection: string | undefined;
  /** What is known of the call, not of the batch. */
  readonly context: CallContext;
  /**
   * Stops the batch, whose name the context tells: before its commit it fails with `CANCELLED` and
   * nothing is done, after it the reply is the true one.
   */
  readonly signal?: AbortSignal;
}

const MIB = 1024 * 1024;
/** A chunk's largest size in bytes, where the memory budget is not smaller. */
const CHUNK_BYTES_MAX = 8 * MIB;
/** A chunk is at most one part in so many of the budget. */
const BUDGET_SHARE = 8;

const EMPTY_OBJECT = Buffer.from('{}');
const REFUSAL = Buffer.from('{"error":');
const ASK = Buffer.from('{"embed":');

/** The way from every surface to the engine of an open store. */
export class Engine {
  readonly #store: Store;
  readonly #door: NativeDoor;
  readonly #closing = new AbortController();

  /** @throws VolleyError `UNSUPPORTED` for a store that is itself behind a server. */
  constructor(store: Store) {
    const door = Store.doorOf(store);
    if (!(door instanceof NativeDoor)) {
      throw new VolleyError('UNSUPPORTED', 'only a store that is open in this process is served');
    }
    this.#store = store;
    this.#door = door;
  }

  /** Most operations or queries of a call that is no stream. */
  get maxBatchSize(): number {
    return this.#store.batchOperations.maxBatchSize;
  }

  /** Whether a write that does not say is all or nothing. */
  get atomicByDefault(): boolean {
    return this.#store.batchOperations.atomicByDefault;
  }

  /** Bytes of a stream's chunk, at most: a small part of the memory budget. */
  get chunkBytesMax(): number {
    const share = (this.#store.batchOperations.maxMemoryUsageMb * MIB) / BUDGET_SHARE;
    return Math.min(CHUNK_BYTES_MAX, share);
  }

  /**
   * One request.
   *
   * @returns The reply as the engine wrote it.
   * @throws VolleyError Where the engine refused the request.
   */
  async send(request: EngineRequest): Promise<Uint8Array> {
    const { verb, beside, format, body, context, signal } = request;
    const line = `${verb} ${JSON.stringify(beside)}`;
    const stop = () => void this.#stop(context);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const first = this.#door.send(line, format, body, context);
      // Nobody hears of what was aborted before there was a batch.
      if (signal?.aborted === true) stop();
      let reply = await first;
      while (startsWith(reply, ASK)) reply = await this.#embed(reply, request);
      if (startsWith(reply, REFUSAL)) parseReply(reply);
      return reply;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** A request without a body, and its reply parsed. */
  async call(verb: string, beside: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const line = `${verb} ${JSON.stringify(beside)}`;
    return parseReply(await this.#door.send(line, 'json', EMPTY_OBJECT, {}));
  }

  /**
   * Reserves memory for a later call, which names the reservation in its context.
   *
   * @param waits Whether to stand in line where memory is short, instead of being refused.
   * @throws VolleyError `OVERLOADED`, `MEMORY_LIMIT_EXCEEDED`.
   */
  async reserve(bytes: number, { deletes = false, waits = false } = {}): Promise<number> {
    const line = `memory.reserve ${JSON.stringify({ bytes, deletes })}`;
    const context = { refuseOverload: !waits };
    const reply = parseReply(await this.#door.send(line, 'json', EMPTY_OBJECT, context));
    return reply.reservation as number;
  }

  /** Gives a reservation back, unless a call has used it up or the store has closed. */
  async release(reservation: number): Promise<void> {
    const line = `memory.release ${JSON.stringify({ reservation })}`;
    await this.#door.send(line, 'json', EMPTY_OBJECT, {});
  }

  /** Ends what waits for embedders. */
  close(): void {
    this.#closing.abort();
  }

  /** Stops a batch; one that is not known, because it has ended, is none to be stopped. */
  async #stop({ batchId, caller = '' }: CallContext): Promise<void> {
    const line = `batches.cancel ${JSON.stringify({ batch_id: batchId })}`;
    await this.#door.send(line, 'json', EMPTY_OBJECT, { caller });
  }

  async #embed(ask: Uint8Array, request: EngineRequest): Promise<Uint8Array> {
    const { collection, context, signal } = request;
    const { token, texts } = parseReply(ask).embed as { token: string; texts: string[] };
    const { caller = '' } = context;
    const resume = (fields: object, block?: Float32Array) => {
      const line = `resume ${JSON.stringify({ token, ...fields })}`;
      return this.#door.send(line, 'json', EMPTY_OBJECT, { caller }, block);
    };
    let block: Float32Array;
    try {
      const { embedder: kept } = await this.call('collections.info', { collection });
      const embedder = Store.embeddersOf(this.#store).find(kept as EmbedderIdentity | null);
      const settings = this.#store.batchOperations;
      const parts = { name: String(collection), embedder, settings };
      const { signal: closing } = this.#closing;
      const ended = signal === undefined ? closing : AbortSignal.any([closing, signal]);
      block = await embedTexts(parts, texts, ended);
    } catch (failure) {
      // The engine must know that the batch was stopped before it goes on with what is left.
      if (signal?.aborted === true) await this.#stop(context);
      const { attempts } = failure as { attempts?: number };
      return await resume({ failed: reasonOf(failure), attempts });
    }
    return await resume({}, block);
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}
