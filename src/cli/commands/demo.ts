import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type Collection, type InsertRow, open, type Store, VolleyError } from '../../index.js';
import { type Arguments, UsageError } from '../arguments.js';
import { type Command, EXIT_FAILED, EXIT_OK } from '../command.js';
import { askBothWays, type Comparison, compareInserts, dropIfThere } from '../demo/compare.js';
import { QUESTIONS } from '../demo/questions.js';
import { comparisonLines, questionLines } from '../demo/report.js';
import { formatAmount, formatBytes, formatCount, formatDuration, formatRate } from '../format.js';
import { findSources } from '../input/find-sources.js';
import type { ImportItem } from '../input/row.js';
import type { Source } from '../input/source.js';
import { EXIT_INTERRUPTED, Interrupt } from '../interrupt.js';
import { BATCH_COUNT_DEFAULT, type LoadSummary, load } from '../load.js';
import { summaryDocument } from '../load-summary.js';
import { ProgressBar } from '../progress-bar.js';
import type { Terminal } from '../terminal.js';

/** Where the demo keeps its store. */
export const DEMO_STORE = '.volley/demo';
const FOLDER_DEFAULT = 'node_modules';
/** Passages that are inserted one call at a time, to compare. */
const SAMPLE_COUNT = 500;
const MATCHES_PER_QUESTION = 2;

/** `volley demo`: the whole path on documents that every project has. */
export const demoCommand: Command = {
  name: 'demo',
  summary: 'index the documents under node_modules and ask them questions',
  positionals: '[folder]',
  options: {
    store: { value: 'folder', help: `folder of the store; default: ${DEMO_STORE}` },
    fresh: { help: 'index again, even where that was done before' },
  },
  examples: ['volley demo', 'volley demo docs --fresh'],
  notes: ['A second run opens what is there and only asks.'],
  run: runDemo,
};

interface Demo {
  readonly folder: string;
  readonly storePath: string;
  readonly store: Store;
  readonly openedMs: number;
  readonly collectionName: string;
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
}

async function runDemo(args: Arguments, terminal: Terminal): Promise<number> {
  const [folder = FOLDER_DEFAULT, ...others] = args.positionals;
  if (others.length > 0) throw new UsageError('demo takes one folder');
  const collectionName = await collectionNameOf(folder);
  const storePath = args.text('store') ?? DEMO_STORE;
  const interrupt = new Interrupt(terminal);
  const startedAt = performance.now();
  const store = await open(storePath);
  const openedMs = performance.now() - startedAt;
  const { signal } = interrupt;
  const json = args.has('json');
  try {
    if (args.has('fresh')) await dropIfThere(store, collectionName);
    const demo = { folder, storePath, store, openedMs, collectionName, json, signal, terminal };
    return await runStages(demo);
  } finally {
    await store.close();
    interrupt.dispose();
  }
}

/** One collection per folder: its name, and what tells it from another folder of that name. */
async function collectionNameOf(folder: string): Promise<string> {
  try {
    const path = await realpath(folder);
    const name = basename(path)
      .replace(/[^A-Za-z0-9_.-]/g, '_')
      .slice(0, 64);
    return `demo-${name}-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`;
  } catch {
    throw new UsageError(`there is no folder ${folder}; name one that holds documents`);
  }
}

async function runStages(demo: Demo): Promise<number> {
  const existing = await findCollection(demo);
  if (existing !== undefined) {
    const { count } = await existing.info();
    say(demo, `Opened ${demo.storePath} in ${formatDuration(demo.openedMs)}.`);
    say(demo, `${formatAmount(count, 'passage')} of ${demo.folder} are there from an earlier run.`);
    await ask(demo, existing, undefined);
    return EXIT_OK;
  }
  const indexed = await index(demo);
  if (indexed.summary.stoppedBy !== undefined || demo.signal.aborted) {
    await dropIfThere(demo.store, demo.collectionName);
    demo.terminal.notice(indexed.summary.stoppedBy?.message ?? 'Stopped; nothing is kept.');
    return demo.signal.aborted ? EXIT_INTERRUPTED : EXIT_FAILED;
  }
  await ask(demo, indexed.collection, indexed);
  return demo.signal.aborted ? EXIT_INTERRUPTED : EXIT_OK;
}

async function findCollection({ store, collectionName }: Demo): Promise<Collection | undefined> {
  try {
    return await store.collection(collectionName);
  } catch (error) {
    if (error instanceof VolleyError && error.code === 'COLLECTION_NOT_FOUND') return undefined;
    throw error;
  }
}

interface Indexed {
  readonly collection: Collection;
  readonly summary: LoadSummary;
  /** The first passages that were read. */
  readonly sample: InsertRow[];
}

async function index(demo: Demo): Promise<Indexed> {
  const { folder, store, terminal, signal } = demo;
  const sources = await findSources({ paths: [folder] });
  const bytesTotal = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  say(demo, `${formatAmount(sources.length, 'document')} in ${folder}, ${formatBytes(bytesTotal)}`);
  const collection = await store.createCollection(demo.collectionName, { embedder: 'lexical' });
  const sample: InsertRow[] = [];
  const bar = new ProgressBar(terminal);
  const summary = await load(readPassages(sources, sample), collection, {
    bytesTotal,
    signal,
    onProgress: (progress) => bar.update(progress),
  });
  bar.clear();
  const { inserted, elapsedMs, failed } = summary;
  const rate = formatRate((inserted / elapsedMs) * 1000);
  say(
    demo,
    '',
    heading(demo, `Read, embedded and inserted in batches of ${formatCount(BATCH_COUNT_DEFAULT)}`),
  );
  say(demo, `  ${formatAmount(inserted, 'passage')} in ${formatDuration(elapsedMs)}: ${rate}`);
  say(demo, '  each batch was on the disk when it was acknowledged');
  if (failed > 0) say(demo, `  ${formatAmount(failed, 'passage')} failed`);
  return { collection, summary, sample };
}

/** All passages, each text once: packages often ship the same declarations several times. */
async function* readPassages(
  sources: readonly Source[],
  sample: InsertRow[],
): AsyncGenerator<ImportItem> {
  const seen = new Set<string>();
  for (const source of sources) {
    for await (const { row, bytes } of source.read()) {
      const hash = createHash('sha256')
        .update(row?.text ?? '')
        .digest('base64');
      if (row === undefined || seen.has(hash)) {
        yield { bytes };
        continue;
      }
      seen.add(hash);
      if (sample.length < SAMPLE_COUNT) sample.push(row);
      yield { row, bytes };
    }
  }
}

async function ask(demo: Demo, collection: Collection, indexed?: Indexed): Promise<void> {
  const queries = QUESTIONS.map((queryText) => ({ queryText }));
  const asked = await askBothWays(collection, queries, MATCHES_PER_QUESTION);
  say(demo, '', heading(demo, `Asked ${QUESTIONS.length} questions in one batch`));
  asked.result.batchResults.forEach((answer, i) => {
    say(demo, ...questionLines(QUESTIONS[i] ?? '', answer, demo.terminal));
  });
  const sample = indexed?.sample ?? [];
  const inserts =
    sample.length > 0 ? await compareInserts(demo.store, sample, demo.signal) : undefined;
  if (demo.signal.aborted) return;
  reportComparison(demo, asked.comparison, inserts);
  if (!demo.json) return;
  const { folder, storePath, openedMs, terminal } = demo;
  terminal.printJson({
    folder,
    store: storePath,
    openedMs,
    imported: indexed && summaryDocument(indexed.summary, { durability: 'always' }),
    comparison: { search: asked.comparison, insert: inserts },
    search: asked.result,
  });
}

function reportComparison(demo: Demo, search: Comparison, inserts?: Comparison): void {
  say(demo, '', heading(demo, 'The same work, one call at a time'));
  const works = [{ name: `ask ${formatAmount(search.count, 'question')}`, comparison: search }];
  if (inserts !== undefined) {
    const name = `insert ${formatAmount(inserts.count, 'passage')}`;
    works.unshift({ name, comparison: inserts });
  }
  say(demo, ...comparisonLines(works, demo.terminal));
  const next = `volley search "..." --store ${demo.storePath} --collection ${demo.collectionName}`;
  say(demo, '', 'Ask your own question:', `  ${next}`);
}

function heading({ terminal }: Demo, text: string): string {
  return terminal.style('bold', text);
}

/** Prints lines for people; with `--json` there is one document at the end instead. */
function say({ json, terminal }: Demo, ...lines: readonly string[]): void {
  if (!json) terminal.print(...lines);
}
