import { type Embedder, embedTexts, reasonOf } from '../embedder.js';
import { VolleyError } from '../errors.js';
import { type Format, parseReply } from '../native/door.js';
import { NativeDoor } from '../native/native-door.js';
import { Store } from '../store.js';

/** One request as a carrier hands it on: its body stays as it came. */
export interface EngineRequest {
  readonly verb: string;
  /** The fields that came beside the body: a collection in a path, a key in a header. */
  readonly beside: Readonly<Record<string, unknown>>;
  readonly format: Format;
  readonly body: Uint8Array;
  /** The collection, where the carrier knows it: its embedder may be asked for. */
  readonly collection: string | undefined;
}

const EMPTY_OBJECT = Buffer.from('{}');
const REFUSAL = Buffer.from('{"error":');
const ASK = Buffer.from('{"embed":');

/** The way from every surface to the engine of an open store. */
export class Engine {
  readonly #door: NativeDoor;
  readonly #embedders: readonly Embedder[];
  readonly #closing = new AbortController();

  /** @throws VolleyError `UNSUPPORTED` for a store that is itself behind a server. */
  constructor(store: Store, embedders: readonly Embedder[]) {
    const door = Store.doorOf(store);
    if (!(door instanceof NativeDoor)) {
      throw new VolleyError('UNSUPPORTED', 'only a store that is open in this process is served');
    }
    this.#door = door;
    this.#embedders = embedders;
  }

  /**
   * One request.
   *
   * @returns The reply as the engine wrote it.
   * @throws VolleyError Where the engine refused the request.
   */
  async send(request: EngineRequest): Promise<Uint8Array> {
    const { verb, beside, format, collection } = request;
    const line = `${verb} ${JSON.stringify(beside)}`;
    let reply = await this.#door.send(line, format, request.body);
    while (startsWith(reply, ASK)) reply = await this.#embed(reply, collection);
    if (startsWith(reply, REFUSAL)) parseReply(reply);
    return reply;
  }

  /** A request without a body, and its reply parsed. */
  async call(verb: string, beside: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const collection = typeof beside.collection === 'string' ? beside.collection : undefined;
    const request = { verb, beside, format: 'json', body: EMPTY_OBJECT, collection } as const;
    return parseReply(await this.send(request));
  }

  /** Ends what waits for embedders. */
  close(): void {
    this.#closing.abort();
  }

  async #embed(ask: Uint8Array, collection: string | undefined): Promise<Uint8Array> {
    const { token, texts } = parseReply(ask).embed as { token: string; texts: string[] };
    try {
      const embedder = await this.#embedderOf(collection);
      const block = await embedTexts(embedder, texts, this.#closing.signal);
      return await this.#door.send(
        `resume ${JSON.stringify({ token })}`,
        'json',
        EMPTY_OBJECT,
        block,
      );
    } catch (failure) {
      const failed = reasonOf(failure);
      return await this.#door.send(
        `resume ${JSON.stringify({ token, failed })}`,
        'json',
        EMPTY_OBJECT,
      );
    }
  }

  async #embedderOf(collection: string | undefined): Promise<Embedder> {
    const { embedder: kept } = await this.call('collections.info', { collection });
    const { name, version } = (kept ?? {}) as { name?: string; version?: string };
    const found = this.#embedders.find((one) => one.name === name && one.version === version);
    if (found !== undefined) return found;
    throw new Error(
      `the texts of collection ${collection} are embedded by ${name} ${version}, ` +
        'which the server was not given',
    );
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}
