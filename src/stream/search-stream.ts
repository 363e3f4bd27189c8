import { VolleyError } from '../errors.js';
import type { QueryResult, SearchResult } from '../results.js';
import type { BatchOperations } from '../settings.js';
import type { JsonObject, SearchOptions, SearchQuery } from '../types.js';
import { integer, type Source, word } from './options.js';
import { Puller } from './puller.js';

/** Options of `searchStream`: those of `search`, which hold for each chunk, and the stream's own. */
export interface SearchStreamOptions<Metadata extends object = JsonObject>
  extends Omit<SearchOptions<Metadata>, 'atomic' | 'batchSizeLimit' | 'onError'> {
  /** `input`: in the order of the queries. `finished`: as they finish. @default 'input' */
  order?: 'input' | 'finished' | undefined;
  /** Queries of a chunk, 1 to 100,000. Default: the store's `chunkSize`. */
  chunkSize?: number | undefined;
  /** Chunks asked at the same time, 1 to 256. Default: the store's `parallelWorkers`. */
  parallelWorkers?: number | undefined;
}

/** The answer to one query of a stream. */
export interface StreamQueryResult<Metadata extends object = JsonObject>
  extends QueryResult<Metadata> {
  /** The query's 0-based place in the stream. */
  offset: number;
}

type Query<Metadata extends object> = SearchQuery<Metadata>;

interface Asked<Metadata extends object> {
  readonly queries: Source<Query<Metadata>>;
  readonly options: SearchStreamOptions<Metadata>;
  readonly settings: BatchOperations;
  search(
    queries: Query<Metadata>[],
    options: SearchOptions<Metadata>,
  ): Promise<SearchResult<Metadata>>;
}

type Answers<Metadata extends object> = StreamQueryResult<Metadata>[];

/** Reads queries a few chunks ahead of the reader, and never more. */
export function searchStream<Metadata extends object>(
  asked: Asked<Metadata>,
): AsyncGenerator<StreamQueryResult<Metadata>, void, undefined> {
  const { order, chunkSize, parallelWorkers, ...searchOptions } = asked.options;
  const rules = {
    order: word('order', order, ['input', 'finished']) ?? 'input',
    chunkSize: integer('chunkSize', chunkSize, 1, 100_000) ?? asked.settings.chunkSize,
    parallelWorkers:
      integer('parallelWorkers', parallelWorkers, 1, 256) ?? asked.settings.parallelWorkers,
  };
  for (const field of ['atomic', 'batchSizeLimit', 'onError']) {
    if (field in searchOptions) {
      throw new VolleyError('INVALID_ARGUMENT', `searchStream has no option "${field}"`, {
        details: { field },
      });
    }
  }
  const puller = new Puller('searchStream', asked.queries);
  return answers(asked, puller, rules, searchOptions);
}

async function* answers<Metadata extends object>(
  asked: Asked<Metadata>,
  puller: Puller,
  rules: { order: 'input' | 'finished'; chunkSize: number; parallelWorkers: number },
  searchOptions: SearchOptions<Metadata>,
): AsyncGenerator<StreamQueryResult<Metadata>, void, undefined> {
  const { signal } = searchOptions;
  const stopping = new AbortController();
  const signals = signal === undefined ? [stopping.signal] : [stopping.signal, signal];
  const options = { ...searchOptions, signal: AbortSignal.any(signals) };
  const interrupt = () => puller.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  const running: Promise<{ self: object; found: Answers<Metadata> }>[] = [];
  const keys = new Map<object, Promise<unknown>>();
  let offset = 0;
  let isDone = false;
  let failure: { error: unknown } | undefined;
  try {
    for (;;) {
      while (!isDone && running.length < rules.parallelWorkers) {
        const queries: Query<Metadata>[] = [];
        try {
          isDone = !(await fill(puller, queries, rules.chunkSize));
        } catch (error) {
          failure = { error };
          isDone = true;
        }
        if (queries.length === 0) break;
        const from = offset;
        offset += queries.length;
        const self = {};
        const work = asked.search(named(queries, from), options).then(({ batchResults }) => ({
          self,
          found: batchResults.map((result, index) => ({ ...result, offset: from + index })),
        }));
        // It is awaited in its turn; until then a refusal is nobody's.
        work.catch(() => {});
        keys.set(self, work);
        running.push(work);
      }
      const first = running[0];
      if (first === undefined) break;
      const { self, found } = await (rules.order === 'input' ? first : Promise.race(running));
      running.splice(running.indexOf(keys.get(self) as typeof first), 1);
      keys.delete(self);
      yield* found;
    }
    if (failure !== undefined) throw failure.error;
    if (signal?.aborted) {
      throw new VolleyError('CANCELLED', 'the stream was cancelled', { cause: signal.reason });
    }
  } finally {
    signal?.removeEventListener('abort', interrupt);
    if (running.length > 0) stopping.abort();
    await puller.close();
  }
}

/** Returns whether there may be more. */
async function fill(puller: Puller, into: unknown[], count: number): Promise<boolean> {
  while (into.length < count) {
    const pulled = puller.isAsync ? await puller.pull() : puller.pullNow();
    if (pulled.done) return false;
    into.push(pulled.value);
  }
  return true;
}

/** Queries without a name are called by their place in the stream, not in their chunk. */
function named<Metadata extends object>(
  queries: Query<Metadata>[],
  from: number,
): Query<Metadata>[] {
  return queries.map((query, index) => {
    const isNameless = typeof query === 'object' && query !== null && query.queryId === undefined;
    return isNameless ? { ...query, queryId: `query_${from + index + 1}` } : query;
  });
}
