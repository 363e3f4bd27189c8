import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { Filter, Part, VectorRecord } from '../../index.js';
import type { Arguments } from '../arguments.js';
import { type Command, EXIT_OK } from '../command.js';
import { formatAmount } from '../format.js';
import { COLLECTION_OPTIONS, withCollection } from '../store-access.js';
import { type Terminal, toJson } from '../terminal.js';

/** `volley export`: records to NDJSON. */
export const exportCommand: Command = {
  name: 'export',
  summary: 'write the records of a collection as NDJSON',
  positionals: '',
  options: {
    ...COLLECTION_OPTIONS,
    out: { value: 'file', help: 'write here; default: standard output' },
    filter: { value: 'json', help: 'condition on metadata' },
    vectors: { help: 'with the vectors; without, texts are embedded again when imported' },
  },
  examples: ['volley export --store data --collection docs --vectors --out docs.jsonl'],
  notes: ['volley import reads what export writes.'],
  run: runExport,
};

async function runExport(args: Arguments, terminal: Terminal): Promise<number> {
  const include: Part[] = ['metadata', 'text'];
  if (args.has('vectors')) include.push('data');
  const filters = args.jsonObject('filter') as Filter | undefined;
  const out = args.text('out');
  const count = await withCollection(args, async (collection) => {
    const records = collection.list({ include, filters });
    if (out === undefined) return await writeRecords(records, (text) => terminal.write(text));
    return await writeFile(out, records);
  });
  if (args.has('json') && out !== undefined) terminal.printJson({ exported: count, out });
  else terminal.notice(`Exported ${formatAmount(count, 'record')}`);
  return EXIT_OK;
}

type Records = AsyncIterable<VectorRecord>;

async function writeFile(path: string, records: Records): Promise<number> {
  const file = createWriteStream(path);
  await once(file, 'open');
  const count = await writeRecords(records, async (text) => {
    if (!file.write(text)) await once(file, 'drain');
  });
  file.end();
  await finished(file);
  return count;
}

/** Lines are written in pieces of about this length, in UTF-16 code units. */
const PIECE_LENGTH = 256 * 1024;

async function writeRecords(
  records: Records,
  write: (text: string) => Promise<void>,
): Promise<number> {
  let count = 0;
  let piece = '';
  for await (const { version: _, ...record } of records) {
    piece += `${toJson(record)}\n`;
    count += 1;
    if (piece.length < PIECE_LENGTH) continue;
    await write(piece);
    piece = '';
  }
  if (piece !== '') await write(piece);
  return count;
}
