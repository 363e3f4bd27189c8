/** Links per vector above the lowest layer, of every engine that has such a thing. */
export const M = 16;
/** Candidates kept while a vector is linked, of every engine that has such a thing. */
export const EF_CONSTRUCTION = 100;
/** Vectors per insertion call. */
export const BATCH = 1000;

/** Rows that are inserted by one call. The row's number is its id. */
export interface Batch {
  readonly firstRow: number;
  readonly count: number;
  /** The numbers as text, for engines whose ids are strings; made before the clock starts. */
  readonly ids: readonly string[];
  /** `count` vectors of unit length, end to end. */
  readonly vectors: Float32Array;
}

/** What an engine is opened for. */
export interface Setting {
  readonly dimension: number;
  /** Rows that will be inserted at most. */
  readonly capacity: number;
  /** An empty folder for the engine's files. */
  readonly folder: string;
  /** Threads that may work at the same time. */
  readonly threads: number;
}

/** One index of one engine, from empty to closed. */
export interface Engine {
  /** Name and version of the package. */
  readonly version: string;
  /** Insertion calls that run at the same time. */
  readonly insertsInFlight: number;
  /** Queries of one search call. */
  readonly queriesPerCall: number;
  /** Search calls that run at the same time, by the count of threads. */
  readonly searchesInFlight: (threads: number) => number;
  /** Time spent making the engine's own input of typed arrays so far, in ms. */
  readonly conversionMs?: number;
  insert(batch: Batch): Promise<void> | void;
  /** Resolves when all that was inserted is searchable through the index. */
  indexed(): Promise<void> | void;
  /** Says how the next searches are made; not part of what is timed. */
  tune(efSearch: number, threads: number): Promise<void> | void;
  /** The ids of the `k` nearest rows of each query (vectors end to end). */
  search(queries: Float32Array, k: number): Promise<Answer[]> | Answer[];
  close(): Promise<void> | void;
}

/** Ids of rows as the engine gives them, nearest first; `Number` turns each into the row. */
export type Answer = ArrayLike<number | bigint | string>;

/** An engine in one of the ways it is compared. */
export interface Contender {
  /** The name in tables; also what `--engines` selects by. */
  readonly name: string;
  /** What is on the disk when an insertion call returns. */
  readonly durability: string;
  /** What to know when reading its figures, or nothing. */
  readonly remark?: string;
  /** False where the search compares with every row. */
  readonly approximate: boolean;
  /** The narrowest beam that it takes, where that is wider than the matches asked for. */
  readonly leastEfSearch?: number;
  /** Counts of threads that searches can be given, of at most so many. */
  readonly searchThreads: (threads: number) => number[];
  open(setting: Setting): Promise<Engine>;
}

/** One thread, and all: what an engine offers that is told the count with each search. */
export const oneAndAll = (threads: number): number[] => (threads > 1 ? [1, threads] : [1]);

/**
 * A peer's module. Typed by the caller, because the peers are not dependencies of the project:
 * each engine declares the few calls it makes.
 */
export async function peer<Module>(name: string): Promise<Module> {
  return (await import(name)) as Module;
}

/** The rows of a typed array, each a view. */
export function* rowsOf(vectors: Float32Array, dimension: number): Generator<Float32Array> {
  for (let at = 0; at < vectors.length; at += dimension) {
    yield vectors.subarray(at, at + dimension);
  }
}
