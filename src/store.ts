import { Collection } from './collection.js';
import { camelDeep } from './decode.js';
import { type Embedder, EmbedderRegistry, embedderHeader, matchEmbedder } from './embedder.js';
import { VolleyError } from './errors.js';
import { binding } from './native/binding.js';
import type { Door, Reply } from './native/door.js';
import { NativeDoor } from './native/native-door.js';
import {
  COLLECTION_OPTIONS,
  HANDLE_OPTIONS,
  HNSW_OPTIONS,
  OPEN_OPTIONS,
  take,
  type WireOptions,
} from './options.js';
import type { BatchProgress } from './progress.js';
import { BATCH_OPERATIONS, type BatchOperations, readSettings } from './settings.js';
import type {
  CollectionHandleOptions,
  CollectionInfo,
  CollectionOptions,
  JsonObject,
  Limits,
  OpenOptions,
} from './types.js';

/** The version of the engine that is loaded. */
export function version(): string {
  return binding().version();
}

/**
 * Opens a store: the collections of one directory, which is made where it does not exist.
 *
 * A directory is open in one process at a time; worker threads of that process share it. The
 * store stays open until `close()` or until the process (or worker thread) that opened it ends.
 * An open store does not keep a process alive, a pending call does.
 *
 * @param path Directory of the store, or `':memory:'` for one that is gone when it is closed.
 * @throws VolleyError `STORE_LOCKED` where another process has it open; `CORRUPTED` where a file
 *   does not hold what was written to it; `INVALID_ARGUMENT` for an unknown option; `UNSUPPORTED`
 *   where the native part is missing or the files come from a later version.
 *
 * @example
 * await using store = await open('./data');
 * const books = await store.createCollection('books', { dimension: 3 });
 * await books.insert([{ id: 'a', data: [0.1, 0.2, 0.3], metadata: { kind: 'book' } }]);
 */
export async function open(path: string, options: OpenOptions = {}): Promise<Store> {
  if (typeof path !== 'string' || path === '') {
    throw new VolleyError('INVALID_ARGUMENT', 'path must be a string that is not empty', {
      details: { field: 'path' },
    });
  }
  const { batchOperations, embedders = [] } = options;
  const header = {
    ...take('open', options, OPEN_OPTIONS),
    ...(batchOperations && {
      batch_operations: take('open batchOperations', batchOperations, BATCH_OPERATIONS),
    }),
  };
  const registry = new EmbedderRegistry(embedders);
  const door = await NativeDoor.open(path, JSON.stringify(header));
  return new Store(door, await readSettings(door), registry);
}

/** An open store. Made by {@link open}. */
export class Store {
  /** How the store treats batches: every key of `batchOperations`. */
  readonly batchOperations: Readonly<BatchOperations>;

  readonly #door: Door;
  readonly #embedders: EmbedderRegistry;
  readonly #closing = new AbortController();

  /** @internal */
  constructor(door: Door, batchOperations: BatchOperations, embedders: EmbedderRegistry) {
    this.#door = door;
    this.#embedders = embedders;
    this.batchOperations = Object.freeze(batchOperations);
  }

  /** @internal The store's way to its engine, for carriers that leave bodies as they come. */
  static doorOf(store: Store): Door {
    return store.#door;
  }

  /** @internal The embedders that the store was opened with. */
  static embeddersOf(store: Store): EmbedderRegistry {
    return store.#embedders;
  }

  /**
   * Makes a collection.
   *
   * @param name `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`
   * @throws VolleyError `COLLECTION_EXISTS`; `INVALID_ARGUMENT` for a name, dimension or option
   *   that is refused.
   */
  async createCollection<Metadata extends object = JsonObject>(
    name: string,
    options: CollectionOptions,
  ): Promise<Collection<Metadata>> {
    const { dimension, hnsw } = options;
    const embedder = this.#embedders.resolve(options.embedder);
    const header = {
      name: checkName(name),
      ...take('createCollection', options, COLLECTION_OPTIONS),
      ...(hnsw && { hnsw: take('createCollection hnsw', hnsw, HNSW_OPTIONS) }),
      ...embedderHeader(embedder, dimension),
    };
    const info = await this.#door.call('collections.create', header);
    return this.#handle(info, typeof embedder === 'string' ? undefined : embedder);
  }

  /**
   * A collection that exists.
   *
   * @typeParam Metadata The type of its records' metadata; it is not checked at run time.
   * @throws VolleyError `COLLECTION_NOT_FOUND`; `INVALID_ARGUMENT` where the embedder is not the
   *   one that the collection keeps.
   */
  async collection<Metadata extends object = JsonObject>(
    name: string,
    options: CollectionHandleOptions = {},
  ): Promise<Collection<Metadata>> {
    take('collection', options, HANDLE_OPTIONS);
    const info = await this.#door.call('collections.info', collectionHeader(name));
    return this.#handle(info, options.embedder);
  }

  /** What is known of each collection, by name. */
  async listCollections(): Promise<CollectionInfo[]> {
    const { collections } = await this.#door.call('collections.list', {});
    return camelDeep(collections) as CollectionInfo[];
  }

  /**
   * Removes a collection and all its records, for good.
   *
   * @throws VolleyError `COLLECTION_NOT_FOUND`.
   */
  async dropCollection(name: string): Promise<void> {
    await this.#door.call('collections.drop', collectionHeader(name));
  }

  /**
   * Every limit with its unit, e.g. `idBytesMax`: `{ value: 512, unit: 'bytes' }`, and what is
   * free of the memory that requests may take: `memoryFreeBytes`.
   */
  async limits(): Promise<Limits> {
    return camelDeep(await this.#door.call('limits', {})) as unknown as Limits;
  }

  /**
   * How far a batch is that runs or ran lately, by the `batchId` of its result.
   *
   * @throws VolleyError `NOT_FOUND`.
   */
  async batch(batchId: string): Promise<BatchProgress> {
    return camelDeep(await this.#door.call('batches.get', { batch_id: batchId })) as BatchProgress;
  }

  /**
   * Finishes what is running, syncs and closes. Calls made after it fail with `STORE_CLOSED`.
   * Closing twice is harmless.
   */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#door.close();
  }

  /** The same as `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #handle<Metadata extends object>(wire: Reply, given: Embedder | undefined): Collection<Metadata> {
    const info = camelDeep(wire) as CollectionInfo;
    const embedder = given ?? this.#embedders.find(info.embedder);
    matchEmbedder(info.name, info.embedder, embedder);
    const { name, dimension } = info;
    const { batchOperations: settings } = this;
    const closing = this.#closing.signal;
    return new Collection({ door: this.#door, name, dimension, embedder, settings, closing });
  }
}

function collectionHeader(name: string): WireOptions {
  return { collection: checkName(name) };
}

/** Only what JSON would change is refused here; the engine judges the name. */
function checkName(name: unknown): string {
  if (typeof name === 'string' && name.isWellFormed()) return name;
  throw new VolleyError('INVALID_ARGUMENT', 'a collection name must be a well-formed string', {
    details: { field: 'name' },
  });
}
