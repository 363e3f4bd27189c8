import { VolleyError } from '../errors.js';
import { callback, names } from '../options.js';
import type { BatchOperations } from '../settings.js';
import type { Level, MetadataMode, Missing, OnConflict, OnError } from '../types.js';
import type { OnProgress, StreamFailure } from './results.js';

/** Rows, columns or ids, from anything that can be iterated; web and Node streams too. */
export type Source<Item> = Iterable<Item> | AsyncIterable<Item>;

/** Options of every stream of writes. */
export interface WriteStreamOptions<Item = unknown> {
  /**
   * `false`: each operation stands alone, or each `group`: its operations must follow one another
   * and fit into one chunk's bytes; where the same name comes again later, that is a new group.
   * `true`: all of the stream or nothing, however large; nothing of it is seen before its one
   * commit. @default false
   */
  atomic?: boolean | undefined;
  /**
   * Operations of a chunk, 1 to 100,000. Default: the store's `chunkSize` for the first chunk, and
   * twice as many for each further one, up to ten times the store's: the first outcomes come
   * soon, and a long stream is fast. A group that is larger makes a larger chunk.
   */
  chunkSize?: number | undefined;
  /** Chunks in work at the same time, 1 to 256. Default: the store's `parallelWorkers`. */
  parallelWorkers?: number | undefined;
  /**
   * Names the stream, so that a later one with this name and the same operations goes on after
   * the last one that is durable. Best-effort streams only; 1 to 255 bytes.
   */
  streamId?: string | undefined;
  /** What the summary waits for at the stream's end. @default 'applied' */
  waitFor?: Level | undefined;
  /** Ends the stream as `cancel()` does. What it comes too late for has its true result. */
  signal?: AbortSignal | undefined;
  /**
   * Milliseconds after which the stream is ended as `cancel()` does; a `waitFor` that runs out of
   * time has the summary with the level that was `reached`. Default: none.
   */
  deadlineMs?: number | undefined;
  /** Operations that the source will give, where that is known: for `etaS`. */
  total?: number | undefined;
  /** Told how far the stream is, at most ten times a second, and once at its end. */
  onProgress?: OnProgress | undefined;
  /** Told of each failure; the stream waits for it. */
  onFailure?: ((failure: StreamFailure<Item>) => void | Promise<void>) | undefined;
  /** Failures that the summary lists, 0 to 100,000. @default 1000 */
  failuresKept?: number | undefined;
  /** Whether the summary of a stream that was ended by an error rejects. @default 'throw' */
  onError?: OnError | undefined;
}

/** The rule of best-effort streams for an id that stands twice in one chunk. */
export interface StreamDuplicatesOption {
  /** As in a batch, chunk by chunk. In an atomic stream only `reject`. @default 'reject' */
  duplicates?: 'reject' | 'last_wins' | undefined;
}

/** Options of `insertStream`. */
export interface InsertStreamOptions<Item = unknown>
  extends WriteStreamOptions<Item>,
    StreamDuplicatesOption {
  /** What to do with ids that exist. @default 'error' */
  onConflict?: OnConflict | undefined;
}

/** Options of `updateStream`. */
export interface UpdateStreamOptions<Item = unknown>
  extends WriteStreamOptions<Item>,
    StreamDuplicatesOption {
  /** How metadata is meant. @default 'merge' */
  metadataMode?: MetadataMode | undefined;
}

/** Options of `deleteStream`. */
export interface DeleteStreamOptions<Item = unknown>
  extends WriteStreamOptions<Item>,
    StreamDuplicatesOption {
  /** What to do with ids that do not exist. @default 'error' */
  missing?: Missing | undefined;
}

const KEPT = [
  'atomic',
  'chunkSize',
  'parallelWorkers',
  'streamId',
  'waitFor',
  'signal',
  'deadlineMs',
  'total',
  'onProgress',
  'onFailure',
  'failuresKept',
  'onError',
];

export const INSERT_STREAM_OPTIONS = names(['duplicates', 'onConflict'], KEPT);
export const UPDATE_STREAM_OPTIONS = names(['duplicates', 'metadataMode'], KEPT);
export const DELETE_STREAM_OPTIONS = names(['duplicates', 'missing'], KEPT);
export const WRITE_STREAM_OPTIONS = names([], KEPT);

/** The options that stay here, checked and complete. */
export interface StreamRules {
  readonly atomic: boolean;
  /** Operations of the first chunk, and of a chunk at most. */
  readonly chunkSize: { readonly first: number; readonly most: number };
  readonly parallelWorkers: number;
  readonly streamId: string | undefined;
  readonly waitFor: Level;
  readonly signal: AbortSignal | undefined;
  readonly deadlineMs: number | undefined;
  readonly total: number | undefined;
  readonly onProgress: OnProgress | undefined;
  readonly onFailure: ((failure: StreamFailure) => void | Promise<void>) | undefined;
  readonly failuresKept: number;
  readonly onError: OnError;
}

/** Failures that a summary lists where nothing is said. */
const FAILURES_KEPT_DEFAULT = 1000;

/** Most operations of a chunk. */
const CHUNK_COUNT_MAX = 100_000;
/** Where nothing is said, chunks grow to so many times the store's `chunkSize`. */
const CHUNK_GROWTH = 10;

/** Checks the options that stay here. */
export function streamRules(
  options: WriteStreamOptions<never>,
  settings: BatchOperations,
): StreamRules {
  const { atomic, streamId, signal } = options;
  const chunkSize = integer('chunkSize', options.chunkSize, 1, CHUNK_COUNT_MAX);
  if (atomic !== undefined && typeof atomic !== 'boolean') throw invalid('atomic', 'true or false');
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid('signal', 'an AbortSignal');
  }
  const isName = typeof streamId === 'string' && streamId !== '' && streamId.isWellFormed();
  if (streamId !== undefined && !isName) throw invalid('streamId', 'a string that is not empty');
  if (streamId !== undefined && atomic === true) {
    throw new VolleyError('UNSUPPORTED', 'an atomic stream cannot be resumed: it has no streamId', {
      details: { field: 'streamId' },
    });
  }
  return {
    atomic: atomic ?? false,
    chunkSize: {
      first: chunkSize ?? settings.chunkSize,
      most: chunkSize ?? Math.min(settings.chunkSize * CHUNK_GROWTH, CHUNK_COUNT_MAX),
    },
    parallelWorkers:
      integer('parallelWorkers', options.parallelWorkers, 1, 256) ?? settings.parallelWorkers,
    streamId,
    waitFor: word('waitFor', options.waitFor, ['durable', 'applied', 'indexed']) ?? 'applied',
    signal,
    deadlineMs: integer('deadlineMs', options.deadlineMs, 1, 2 ** 31 - 1),
    total: integer('total', options.total, 0, Number.MAX_SAFE_INTEGER),
    onProgress: settings.progressReporting ? callback('onProgress', options.onProgress) : undefined,
    onFailure: callback('onFailure', options.onFailure) as StreamRules['onFailure'],
    failuresKept:
      integer('failuresKept', options.failuresKept, 0, 100_000) ?? FAILURES_KEPT_DEFAULT,
    onError: word('onError', options.onError, ['throw', 'collect']) ?? 'throw',
  };
}

/** An optional integer within limits. */
export function integer(
  field: string,
  value: unknown,
  least: number,
  most: number,
): number | undefined {
  if (value === undefined) return undefined;
  const fits =
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
  if (fits) return value as number;
  throw invalid(field, `an integer from ${least} to ${most}`, {
    actual: value,
    minimum: least,
    limit: most,
  });
}

/** An optional word of a closed list. */
export function word<Word extends string>(
  field: string,
  value: unknown,
  words: readonly Word[],
): Word | undefined {
  if (value === undefined || words.includes(value as Word)) return value as Word | undefined;
  throw invalid(field, `one of ${words.join(', ')}`);
}

function invalid(field: string, expected: string, details: object = {}): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', `${field} must be ${expected}`, {
    details: { field, ...details },
  });
}
