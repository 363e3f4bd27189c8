import type { BuiltInEmbedder, Embedder, EmbedderIdentity } from './embedder.js';
import type { Filter } from './filter.js';
import type { InterruptOptions } from './interrupt.js';
import type { BatchProgress } from './progress.js';
import type { BatchOperationsOptions } from './settings.js';

/** A value that JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** An object that JSON can hold. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/**
 * The numbers of one vector: 32-bit floats, all finite, as many as the collection's dimension
 * (1 to 8,192). A `Float32Array` is taken without a look at each number, so it is the fast way.
 */
export type Vector = Float32Array | readonly number[];

/** How far a write has come; each level includes the ones before it. */
export type Level = 'durable' | 'applied' | 'indexed';

/** How far a batch had come; `received`: nothing was written, it failed or was only validated. */
export type Reached = 'received' | Level;

/** How nearness is judged: see `score` of a match for the numbers reported. */
export type Metric = 'cosine' | 'euclidean' | 'dot_product';

/** A part of a record that a read returns. */
export type Part = 'metadata' | 'text' | 'data';

/** When a write counts as durable. */
export type Durability = 'always' | 'interval' | 'never';

// ---------------------------------------------------------------------------------------------
// Store and collections
// ---------------------------------------------------------------------------------------------

/** Options of `open`. */
export interface OpenOptions {
  /**
   * When an acknowledged write is synced to the disk. `always`: before it is acknowledged (writes
   * that run at the same time share one sync). `interval`: within 100 ms; a crash of the machine
   * may lose the last writes, but never half a batch. `never`: the operating system decides.
   * @default 'always'
   */
  durability?: Durability | undefined;
  /**
   * Threads of each of the engine's two pools, 1 to 256. Default: as many as the process may use
   * processors.
   */
  threads?: number | undefined;
  /**
   * Embedders that collections may name: `createCollection(name, { embedder: 'minilm' })`.
   * A collection whose embedder is among them finds it by name and version.
   */
  embedders?: readonly Embedder[] | undefined;
  /** How batches are treated: a preset, single keys, or both. */
  batchOperations?: BatchOperationsOptions | undefined;
}

/** Shape of the graph. Larger values find more and cost more. */
export interface HnswOptions {
  /** Links per record above layer 0, 4 to 64; layer 0 has twice as many. @default 16 */
  m?: number | undefined;
  /** Candidates kept while a record is linked, 16 to 1,000. @default 100 */
  efConstruction?: number | undefined;
}

/** Options of `createCollection`. */
export interface CollectionOptions {
  /** Numbers per vector, 1 to 8,192. May be left out where the embedder says it. */
  dimension?: number | undefined;
  /** How nearness is judged. @default 'cosine' */
  metric?: Metric | undefined;
  /**
   * What turns texts into vectors: `'lexical'` (built in), an {@link Embedder}, or the name of one
   * that the store was opened with. Without one the
   * collection takes vectors only. Its name and version are kept with the collection.
   */
  embedder?: BuiltInEmbedder | (string & {}) | Embedder | undefined;
  /** Shape of the graph. */
  hnsw?: HnswOptions | undefined;
}

/** Options of `collection`. */
export interface CollectionHandleOptions {
  /**
   * The embedder of this collection's texts, needed for calls with texts where it is neither
   * built in nor among those that the store was opened with. Its name and version must be those that the collection keeps: `INVALID_ARGUMENT`.
   */
  embedder?: Embedder | undefined;
}

/** What is known of a collection. */
export interface CollectionInfo {
  /** Its name: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`. */
  name: string;
  /** Numbers per vector. */
  dimension: number;
  /** How nearness is judged. */
  metric: Metric;
  /** Name and version of its embedder, or `null`. */
  embedder: EmbedderIdentity | null;
  /** Shape of the graph. */
  hnsw: { m: number; efConstruction: number };
  /** Records that searches can find. */
  count: number;
  /** Number of the last batch that reads see (it is *applied*); 0 before the first. */
  sequence: number;
  /** The number that the last batch received so far will have, if all that wait commit. */
  received: number;
  /** Number of the last batch that is synced to the disk. */
  durable: number;
  /** Number of the last batch that is wholly in the graph. */
  indexed: number;
  /** Records that are not in the graph yet; searches compare them one by one. */
  tailCount: number;
  /** Places of dead records that the graph may still link to, until it is repaired. */
  deadCount: number;
  /** Files of the log. */
  logFiles: number;
  /** Their bytes on the disk. */
  logBytes: number;
  /** Of these, bytes mapped read-only; the system drops such pages as it needs room. */
  mappedBytes: number;
  /** Bytes of memory taken by codes and links. */
  graphBytes: number;
  /** Instructions that distances are computed with. */
  instructionSet: 'scalar' | 'avx2' | 'avx512' | 'neon' | 'neon_dotprod';
  /** What folding records into the graph has cost since the collection was opened. */
  folds: FoldCounters;
  /** Work done by searches since the collection was opened. */
  searches: SearchCounters;
  /** What the option `recall` goes by: empty until it is used. */
  recalls: MeasuredRecall[];
  /** What taking dead records out of the graph has cost since then. */
  repairs: RepairCounters;
  /** Further values, as the engine reports them. */
  [key: string]: unknown;
}

/** Work done to fold records into the graph; times are of the wall, by phase. */
export interface FoldCounters {
  /** Blocks of records that were folded. */
  blocks: number;
  /** Records that they held. */
  rows: number;
  /** Records that became leaders of a leaf. */
  leaders: number;
  /** Members that moved to the leaf of a new leader. */
  moved: number;
  /** Int8 distances to and for leaders. */
  routingEvaluations: number;
  /** Pairs of record and leaf member compared by 1-bit codes. */
  leafPairs: number;
  /** Int8 distances for the choice of the records' own neighbors. */
  forwardEvaluations: number;
  /** Int8 distances for the choice among neighbors of records that got edges back. */
  reverseEvaluations: number;
  /** Records that got edges back and had no room for them. */
  reversePrunes: number;
  /** Records that no link led to, and got one. */
  orphans: number;
  leadersMs: number;
  routeMs: number;
  leafMs: number;
  forwardMs: number;
  reverseMs: number;
  orphanMs: number;
}

/** Work done by searches; times are sums over threads. */
export interface SearchCounters {
  /** Queries that were answered. */
  queries: number;
  /** Leaders, the upper layer, compared by 1-bit codes. */
  leaders: number;
  /** Records of the graph compared by 1-bit codes. */
  looks: number;
  /** Int8 distances computed. */
  evaluations: number;
  /** Vectors that were scored exactly. */
  exact: number;
  /** On the way through the graph. */
  graphMs: number;
  /** Comparing with records that are not in the graph yet, or with all of few. */
  scanMs: number;
  exactMs: number;
}

/** What a collection measured of its own searches. */
export interface MeasuredRecall {
  /** Matches asked for. */
  limit: number;
  efSearch: number;
  /** Share of the nearest that was found. */
  recall: number;
}

/** Work done to take dead records out of the graph. */
export interface RepairCounters {
  /** Repairs that were finished. */
  repairs: number;
  /** Dead records taken out. */
  removed: number;
  /** Records that had links to them. */
  repaired: number;
  /** Records that lost most of their links and were linked like new ones. */
  linkedAgain: number;
  /** Records that no link led to any more, and got one. */
  orphans: number;
  /** Int8 distances computed. */
  evaluations: number;
  /** Time of the wall. */
  ms: number;
}

/** One limit with its unit. */
export interface Limit {
  /** The largest (or, where the name says so, smallest) value allowed. */
  value: number;
  /** What is counted, e.g. `bytes`. */
  unit: string;
}

/** Every limit, by name, e.g. `idBytesMax`. */
export type Limits = { readonly [name: string]: Limit };

/** What a compaction did. */
export interface CompactResult {
  /** Log files before. */
  filesBefore: number;
  /** Log files after. */
  filesAfter: number;
  /** Bytes of those files before. */
  bytesBefore: number;
  /** Bytes of those files after. */
  bytesAfter: number;
}

// ---------------------------------------------------------------------------------------------
// What goes in
// ---------------------------------------------------------------------------------------------

/** Where a record's vector comes from: `data`, or `text` that is embedded, or both. */
export type Content =
  | {
      /** The vector. */
      data: Vector;
      /** Kept with the record, at most 1 MiB of UTF-8; not embedded, as `data` is given. */
      text?: string | undefined;
    }
  | {
      data?: undefined;
      /** Kept with the record, at most 1 MiB of UTF-8, and embedded by the collection. */
      text: string;
    };

/** A record to insert. */
export type InsertRow<Metadata extends object = JsonObject> = Content & {
  /** The caller's key: 1 to 512 bytes of UTF-8, kept to the byte. */
  id: string;
  /** A JSON object: at most 64 KiB, 16 levels deep, no key that begins with `$`. */
  metadata?: Metadata | undefined;
  /** Operations of one group land together or not at all; best-effort batches only. */
  group?: string | undefined;
};

/** A merge patch (RFC 7396) on metadata: `null` removes a key, an absent key stays. */
export type MetadataPatch<Metadata> = Metadata extends readonly unknown[]
  ? Metadata
  : Metadata extends object
    ? { [Key in keyof Metadata]?: MetadataPatch<Metadata[Key]> | null | undefined }
    : Metadata;

/** A change to a record; what is absent stays as it is. */
export interface UpdateRow<Metadata extends object = JsonObject> {
  /** The record's id. */
  id: string;
  /** New vector. Given without `text`, it clears the record's text. */
  data?: Vector | undefined;
  /** New text; embedded again where `data` is absent. */
  text?: string | undefined;
  /** Patch or new metadata, as `metadataMode` says. */
  metadata?: MetadataPatch<Metadata> | undefined;
  /** Operations of one group land together or not at all; best-effort batches only. */
  group?: string | undefined;
}

/**
 * Many records as columns: the fast way in, as nothing is gathered row by row.
 * Row `i` is `ids[i]`, the `i`-th equal part of `data`, `texts[i]` and `metadata[i]`.
 */
export interface Columns<Metadata extends object = JsonObject> {
  /** One id per row. */
  ids: readonly string[];
  /** All vectors end to end: `ids.length` times the dimension. Copied before the call returns. */
  data?: Float32Array | undefined;
  /** One text per row; `null` or `undefined` where a row has none. */
  texts?: readonly (string | null | undefined)[] | undefined;
  /** One object per row; `null` or `undefined` where a row has none. */
  metadata?: readonly (Metadata | null | undefined)[] | undefined;
}

/** What every operation of a mixed batch may say. */
export interface OperationConditions {
  /** The version (sequence of its last write) that the record must have: `CONDITION_FAILED`. */
  ifVersion?: number | undefined;
}

/** An insert in a mixed batch. */
export type InsertOperation<Metadata extends object = JsonObject> = InsertRow<Metadata> &
  OperationConditions & {
    op: 'insert';
    /** Overrides the default, `error`. */
    onConflict?: OnConflict | undefined;
  };

/** An update in a mixed batch. */
export type UpdateOperation<Metadata extends object = JsonObject> = UpdateRow<Metadata> &
  OperationConditions & {
    op: 'update';
    /** Overrides the default, `merge`. */
    metadataMode?: MetadataMode | undefined;
  };

/** A delete in a mixed batch. */
export type DeleteOperation = OperationConditions & {
  op: 'delete';
  /** The record's id. */
  id: string;
  /** Operations of one group land together or not at all; best-effort batches only. */
  group?: string | undefined;
  /** Overrides the default, `error`. */
  missing?: Missing | undefined;
};

/** One element of a mixed batch. */
export type Operation<Metadata extends object = JsonObject> =
  | InsertOperation<Metadata>
  | UpdateOperation<Metadata>
  | DeleteOperation;

/** What an insert does with an id that exists: fail, replace the record, or leave it. */
export type OnConflict = 'error' | 'replace' | 'skip';

/** How an update treats the metadata that a record has. */
export type MetadataMode = 'merge' | 'replace';

/** What a delete does with an id that does not exist. */
export type Missing = 'error' | 'ignore';

/** Whether a failed atomic batch throws, or is returned like any other result. */
export type OnError = 'throw' | 'collect';

/** Options of every write. */
export interface WriteOptions extends InterruptOptions {
  /**
   * All operations or none; otherwise each operation (or group) stands alone. Default: `true`,
   * or what the store's `atomicByDefault` says.
   */
  atomic?: boolean | undefined;
  /** The caller's own cap on operations: over it, nothing is done and `BATCH_TOO_LARGE`. */
  batchSizeLimit?: number | undefined;
  /** Plan and reply as always, but write nothing. @default false */
  validateOnly?: boolean | undefined;
  /** When the call resolves. @default 'applied' */
  waitFor?: Level | undefined;
  /** `failures` lists what failed in `errors`; `all` lists every outcome too. @default 'failures' */
  outcomes?: 'failures' | 'all' | undefined;
  /** Makes a retry of this very call harmless: the first reply is given again, `replayed`. */
  idempotencyKey?: string | undefined;
  /**
   * Told how far the batch is, ten times a second, and once at its end; with its `batchId`. What
   * it throws ends the reports, not the batch. Not called where `progressReporting` is off.
   */
  onProgress?: ((progress: BatchProgress) => void) | undefined;
  /** Whether a failed atomic batch throws a `BatchError`. @default 'throw' */
  onError?: OnError | undefined;
}

/** The rule of plain batches for an id that stands twice. */
export interface DuplicatesOption {
  /**
   * An id that stands twice in one plain batch: `reject` fails the later one with `DUPLICATE_ID`,
   * `last_wins` lets the last one count and skips the others. @default 'reject'
   */
  duplicates?: 'reject' | 'last_wins' | undefined;
}

/** Options of `upsert`. */
export interface UpsertOptions extends WriteOptions, DuplicatesOption {}

/** Options of `write`. In a mixed batch an id may stand several times. */
export type MixedOptions = WriteOptions;

/** Options of `insert`. */
export interface InsertOptions extends WriteOptions, DuplicatesOption {
  /** What to do with ids that exist; `error` fails them with `ALREADY_EXISTS`. @default 'error' */
  onConflict?: OnConflict | undefined;
}

/** Options of `update`. */
export interface UpdateOptions extends WriteOptions, DuplicatesOption {
  /** How metadata is meant: a merge patch (RFC 7396), or the new whole. @default 'merge' */
  metadataMode?: MetadataMode | undefined;
}

/** Options of `delete`. */
export interface DeleteOptions extends WriteOptions, DuplicatesOption {
  /** What to do with ids that do not exist; `error` fails them with `NOT_FOUND`. @default 'error' */
  missing?: Missing | undefined;
}

/** What a query may say beside what it looks for. */
export interface QueryOptions<Metadata extends object = JsonObject> {
  /** Most matches to return, 1 to 1,000. @default 10 */
  limit?: number | undefined;
  /** Least score of a match; absent = none. */
  threshold?: number | undefined;
  /** Condition on metadata, judged inside the search: `limit` matches, where that many pass. */
  filters?: Filter<Metadata> | undefined;
  /** Parts of the record to return. @default ['metadata', 'text'] */
  include?: readonly Part[] | undefined;
  /** Candidates kept by the search, up to 4,096; more finds more. @default 64; 128 with the built-in embedder */
  efSearch?: number | undefined;
  /**
   * In place of `efSearch`: the share of the nearest records to find, 0 to 1. The collection
   * measures on itself, when first asked and after it has doubled, how many candidates that
   * takes; 1, or more than any number of candidates finds, compares with every record.
   */
  recall?: number | undefined;
}

/** What a query looks for: the nearest to a vector, or to a text's embedding. */
export type QueryInput =
  | { queryVector: Vector; queryText?: undefined }
  | { queryVector?: undefined; queryText: string };

/** One query of a search. */
export type SearchQuery<Metadata extends object = JsonObject> = QueryInput &
  QueryOptions<Metadata> & {
    /** The caller's name for it. Default: `query_1`, `query_2`, ... */
    queryId?: string | undefined;
  };

/** Many query vectors as one block: as many queries as the dimension divides it into. */
export interface QueryColumns {
  /** All query vectors end to end. Copied before the call returns. */
  queryVectors: Float32Array;
}

/** Options of `search`: defaults for queries that do not say, and the batch's own. */
export interface SearchOptions<Metadata extends object = JsonObject>
  extends QueryOptions<Metadata>,
    InterruptOptions {
  /** One bad query fails all; otherwise it fails alone. @default false */
  atomic?: boolean | undefined;
  /** The caller's own cap on queries: over it, nothing is done and `BATCH_TOO_LARGE`. */
  batchSizeLimit?: number | undefined;
  /** Whether a failed atomic batch throws a `BatchError`. @default 'throw' */
  onError?: OnError | undefined;
}

/** Options of `get`. */
export interface GetOptions {
  /** Parts of the records to return. @default ['metadata', 'text'] */
  include?: readonly Part[] | undefined;
}

/** Options of `list`. */
export interface ListOptions<Metadata extends object = JsonObject> {
  /** Most records to yield. Default: all. */
  limit?: number | undefined;
  /** Condition on metadata. */
  filters?: Filter<Metadata> | undefined;
  /** Parts of the records to return. @default ['metadata', 'text'] */
  include?: readonly Part[] | undefined;
}
