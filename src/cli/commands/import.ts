import { resolve } from 'node:path';
import {
  type Collection,
  type CollectionOptions,
  type InsertRow,
  type Metric,
  type Store,
  VolleyError,
} from '../../index.js';
import { type Arguments, UsageError } from '../arguments.js';
import { type Command, EXIT_FAILED, EXIT_OK } from '../command.js';
import { FailureFile } from '../failure-file.js';
import { findSources } from '../input/find-sources.js';
import type { ImportItem } from '../input/row.js';
import type { Source } from '../input/source.js';
import { EXIT_INTERRUPTED, Interrupt } from '../interrupt.js';
import { BATCH_COUNT_DEFAULT, type LoadFailure, type LoadSummary, load } from '../load.js';
import { summaryDocument, summaryLines } from '../load-summary.js';
import { ProgressBar } from '../progress-bar.js';
import { COLLECTION_OPTIONS, withStore } from '../store-access.js';
import type { Terminal } from '../terminal.js';

const METRICS = ['cosine', 'euclidean', 'dot_product'] as const;
const DURABILITIES = ['always', 'interval', 'never'] as const;
const CONFLICT_RULES = ['replace', 'skip', 'error'] as const;
const BATCH_COUNT_MAX = 100_000;
/** Failures that are shown one by one; the rest is counted. */
const FAILURES_SHOWN = 5;

/** `volley import`: files to records. */
export const importCommand: Command = {
  name: 'import',
  summary: 'put files into a collection, in batches',
  positionals: '<path>...',
  options: {
    ...COLLECTION_OPTIONS,
    embedder: { value: 'name', help: 'of a new collection: lexical' },
    dimension: { value: 'n', help: 'of a new collection; default: that of the input' },
    metric: {
      value: 'name',
      help: 'of a new collection: cosine (default), euclidean, dot_product',
    },
    batch: { value: 'n', help: `operations per batch; default: ${BATCH_COUNT_DEFAULT}` },
    'on-conflict': { value: 'rule', help: 'for ids that exist: replace (default), skip, error' },
    durability: { value: 'level', help: 'always (default), interval, never' },
    ids: { value: 'file', help: 'NDJSON with ids, texts and metadata for a .npy file' },
    vectors: { value: 'file', help: '.npy file with the vectors of a .jsonl file' },
    failures: { value: 'file', help: 'write failed operations here, to be imported again' },
  },
  examples: [
    'volley import docs --store data --collection docs',
    'volley import rows.jsonl --vectors rows.npy --store data --collection rows',
  ],
  notes: [
    'Reads: folders of Markdown, text and .d.ts files, cut into passages with the ids path#n;',
    '.jsonl and .ndjson rows {id, data?, text?, metadata?}; .npy arrays of float32 or float16.',
    'Importing again replaces what is there. Passages of files that are gone or shorter stay.',
    'Ctrl-C finishes the batches in flight and stops; a second one ends at once.',
  ],
  run: runImport,
};

async function runImport(args: Arguments, terminal: Terminal): Promise<number> {
  const options = readOptions(args);
  const sources = await findSources({
    paths: args.positionals,
    ids: args.text('ids'),
    vectors: args.text('vectors'),
    onNotice: (notice) => terminal.notice(notice),
  });
  refuseOverwriting(sources, args.text('failures'));
  const interrupt = new Interrupt(terminal);
  try {
    return await withStore(options.store, { durability: options.durability }, async (store) => {
      const collection = await findOrCreate(store, sources, options);
      const summary = await importInto(collection, { sources, options, interrupt, terminal });
      report(summary, options, terminal);
      if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
      return summary.failed > 0 || summary.stoppedBy !== undefined ? EXIT_FAILED : EXIT_OK;
    });
  } finally {
    interrupt.dispose();
  }
}

interface ImportOptions {
  readonly store: string;
  readonly collection: string;
  readonly embedder: 'lexical' | undefined;
  readonly dimension: number | undefined;
  readonly metric: Metric | undefined;
  readonly batch: number | undefined;
  readonly onConflict: (typeof CONFLICT_RULES)[number];
  readonly durability: (typeof DURABILITIES)[number];
  readonly failures: string | undefined;
  readonly json: boolean;
}

function readOptions(args: Arguments): ImportOptions {
  if (args.positionals.length === 0) throw new UsageError('name at least one file or folder');
  return {
    store: args.required('store'),
    collection: args.required('collection'),
    embedder: args.choice('embedder', ['lexical']),
    dimension: args.count('dimension', 1),
    metric: args.choice('metric', METRICS),
    batch: args.count('batch', 1, BATCH_COUNT_MAX),
    onConflict: args.choice('on-conflict', CONFLICT_RULES) ?? 'replace',
    durability: args.choice('durability', DURABILITIES) ?? 'always',
    failures: args.text('failures'),
    json: args.has('json'),
  };
}

/** A file of failures may be imported, but not written over while it is read. */
function refuseOverwriting(sources: readonly Source[], failures: string | undefined): void {
  if (failures === undefined) return;
  if (sources.some(({ path }) => resolve(path) === resolve(failures))) {
    throw new UsageError(`--failures ${failures} is a file to import; name another one`);
  }
}

async function findOrCreate(
  store: Store,
  sources: readonly Source[],
  options: ImportOptions,
): Promise<Collection> {
  try {
    const collection = await store.collection(options.collection);
    refuseOtherShape(await collection.info(), options);
    return collection;
  } catch (error) {
    if (!(error instanceof VolleyError) || error.code !== 'COLLECTION_NOT_FOUND') throw error;
    return await store.createCollection(options.collection, await shapeOf(sources, options));
  }
}

type Shape = Pick<ImportOptions, 'dimension' | 'metric'>;

function refuseOtherShape(existing: Shape, wanted: Shape): void {
  for (const name of ['dimension', 'metric'] as const) {
    if (wanted[name] === undefined || wanted[name] === existing[name]) continue;
    throw new UsageError(`--${name} is ${wanted[name]}, the collection's is ${existing[name]}`);
  }
}

/** A new collection's options: what the command line leaves open follows from the first record. */
async function shapeOf(
  sources: readonly Source[],
  { dimension, metric, embedder }: ImportOptions,
): Promise<CollectionOptions> {
  if (embedder !== undefined) return { dimension, metric, embedder };
  const known = sources.find((source) => source.dimension !== undefined)?.dimension;
  const vectorLength = dimension ?? known ?? (await firstRow(sources))?.data?.length;
  return vectorLength === undefined
    ? { metric, embedder: 'lexical' }
    : { dimension: vectorLength, metric };
}

async function firstRow(sources: readonly Source[]): Promise<InsertRow | undefined> {
  for await (const { row } of readAll(sources)) if (row !== undefined) return row;
  return undefined;
}

async function* readAll(sources: readonly Source[]): AsyncGenerator<ImportItem> {
  for (const source of sources) yield* source.read();
}

interface ImportWork {
  readonly sources: readonly Source[];
  readonly options: ImportOptions;
  readonly interrupt: Interrupt;
  readonly terminal: Terminal;
}

async function importInto(
  collection: Collection,
  { sources, options, interrupt, terminal }: ImportWork,
): Promise<LoadSummary> {
  const bar = new ProgressBar(terminal);
  const failures = new Failures(options.failures, terminal);
  const { onConflict } = options;
  // With `replace`, the last row of an id counts wherever the batches are cut.
  const duplicates = onConflict === 'replace' ? 'last_wins' : 'reject';
  try {
    return await load(readAll(sources), collection, {
      onConflict,
      duplicates,
      bytesTotal: sources.reduce((sum, { bytes }) => sum + bytes, 0),
      batchCount: options.batch,
      signal: interrupt.signal,
      onProgress: (progress) => bar.update(progress),
      onFailure: (failure) => failures.add(failure),
    });
  } finally {
    bar.clear();
    await failures.close();
  }
}

/** Shows the first failures, and writes all of them where a file is named. */
class Failures {
  readonly #file: FailureFile | undefined;
  readonly #terminal: Terminal;
  #shown = 0;

  constructor(path: string | undefined, terminal: Terminal) {
    this.#file = path === undefined ? undefined : new FailureFile(path);
    this.#terminal = terminal;
  }

  async add(failure: LoadFailure): Promise<void> {
    if (this.#shown < FAILURES_SHOWN) this.#terminal.notice(describeFailure(failure));
    this.#shown += 1;
    await this.#file?.add(failure);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}

function describeFailure({ row, error }: LoadFailure): string {
  const place = row === undefined ? `${error.path}:${error.line}` : JSON.stringify(row.id);
  return `failed ${place}: ${error.errorCode}: ${error.errorMessage}`;
}

function report(summary: LoadSummary, options: ImportOptions, terminal: Terminal): void {
  if (options.json) terminal.printJson(summaryDocument(summary, options));
  else terminal.print(...summaryLines(summary, options));
}
