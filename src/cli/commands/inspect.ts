import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectionInfo, Limits } from '../../index.js';
import type { Arguments } from '../arguments.js';
import { type Command, EXIT_OK } from '../command.js';
import { formatAmount, formatBytes, formatCount, formatTable } from '../format.js';
import { withExistingStore } from '../store-access.js';
import type { Terminal } from '../terminal.js';
import { DEMO_STORE } from './demo.js';

/** `volley inspect`: what a store holds. */
export const inspectCommand: Command = {
  name: 'inspect',
  summary: 'show the collections of a store, their state and the limits',
  positionals: '',
  options: {
    store: { value: 'folder', help: `folder of the store; default: ${DEMO_STORE}` },
    collection: { value: 'name', help: 'only this collection' },
  },
  examples: ['volley inspect --store data'],
  run: runInspect,
};

interface Inspection {
  readonly store: string;
  readonly files: number;
  readonly bytes: number;
  readonly collections: readonly CollectionInfo[];
  readonly limits: Limits;
}

async function runInspect(args: Arguments, terminal: Terminal): Promise<number> {
  const path = args.text('store') ?? DEMO_STORE;
  const only = args.text('collection');
  const inspection = await withExistingStore(path, async (store): Promise<Inspection> => {
    const collections =
      only === undefined
        ? await store.listCollections()
        : [await (await store.collection(only)).info()];
    return { store: path, ...(await sizeOf(path)), collections, limits: await store.limits() };
  });
  if (args.has('json')) terminal.printJson(inspection);
  else printInspection(inspection, terminal);
  return EXIT_OK;
}

async function sizeOf(folder: string): Promise<{ files: number; bytes: number }> {
  let files = 0;
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    bytes += (await stat(join(entry.parentPath ?? entry.path, entry.name))).size;
  }
  return { files, bytes };
}

function printInspection(inspection: Inspection, terminal: Terminal): void {
  const { store, files, bytes, collections, limits } = inspection;
  const amount = formatAmount(collections.length, 'collection');
  const size = `${formatBytes(bytes)} in ${formatAmount(files, 'file')}`;
  terminal.print(`${terminal.style('bold', store)}  ${amount}, ${size}`);
  for (const info of collections) {
    terminal.print('', terminal.style('bold', info.name));
    terminal.print(...formatTable(infoRows(info)).map((line) => `  ${line}`));
  }
  terminal.print('', terminal.style('bold', 'limits'));
  const rows = Object.entries(limits).map(([name, { value, unit }]) => [name, value, unit]);
  terminal.print(...formatTable(rows).map((line) => `  ${line}`));
}

function infoRows(info: CollectionInfo): [string, string][] {
  const { name: _name, embedder, ...values } = info;
  const described = embedder === null ? 'none' : `${embedder.name} ${embedder.version}`;
  return [
    ...Object.entries(values).map(([key, value]): [string, string] => [key, show(key, value)]),
    ['embedder', described],
  ];
}

function show(key: string, value: unknown): string {
  if (typeof value === 'number') {
    return /bytes/i.test(key) ? formatBytes(value) : formatCount(value);
  }
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, part]) => `${name} ${show(name, part)}`)
    .join(', ');
}
