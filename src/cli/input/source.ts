import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { InsertRow } from '../../index.js';
import { countLines, splitLines } from './lines.js';
import { NpyReader } from './npy.js';
import { cutPassages } from './passages.js';
import { type ImportItem, type ParsedRow, parseRow } from './row.js';
import { portableName } from './walk.js';

/** One file, or a pair of files, that records are read from. */
export interface Source {
  readonly path: string;
  /** Bytes of input, for progress. */
  readonly bytes: number;
  /** Numbers per vector, where the file says it before it is read. */
  readonly dimension?: number;
  /** Its records, in order; a second call reads the file again. */
  read(): AsyncGenerator<ImportItem>;
}

/** Bytes that are read from a file at once. */
const READ_BYTES = 256 * 1024;

function readBytes(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: READ_BYTES });
}

/** A text file: each passage is a record `{id: "name#0", text, metadata}`. */
export function textSource(path: string, bytes: number, name = portableName(path)): Source {
  return {
    path,
    bytes,
    async *read() {
      const passages = [...cutPassages(name, await readFile(path, 'utf8'))];
      if (passages.length === 0) yield { bytes };
      for (const [part, { text, heading, line }] of passages.entries()) {
        const metadata = { path: name, part, line, ...(heading === undefined ? {} : { heading }) };
        yield { row: { id: `${name}#${part}`, text, metadata }, bytes: bytes / passages.length };
      }
    },
  };
}

/** An NDJSON file of rows `{id, data?, text?, metadata?}`. */
export function recordSource(path: string, bytes: number): Source {
  return {
    path,
    bytes,
    async *read() {
      for await (const { parsed, ...item } of readRows(path)) {
        yield parsed === undefined ? item : { row: asInsertRow(parsed), bytes: item.bytes };
      }
    },
  };
}

/**
 * A NumPy file of vectors, with ids, texts and metadata from the rows of an NDJSON file, line by
 * line; without one, the ids are the numbers of the rows.
 */
export async function vectorSource(path: string, rowsPath?: string): Promise<Source> {
  const { rows, columns } = await npyShape(path);
  let bytes = (await stat(path)).size;
  if (rowsPath !== undefined) {
    const lines = await countLines(readBytes(rowsPath));
    if (lines !== rows) {
      throw new Error(
        `${rowsPath} has ${lines} rows, ${path} has ${rows}: they do not belong together`,
      );
    }
    bytes += (await stat(rowsPath)).size;
  }
  return {
    path,
    bytes,
    dimension: columns,
    read: () => (rowsPath === undefined ? numberedRows(path) : pairedRows(path, rowsPath)),
  };
}

/** Rows and columns of a NumPy file. */
export async function npyShape(path: string): Promise<{ rows: number; columns: number }> {
  const reader = await NpyReader.open(path);
  await reader.close();
  return reader.header;
}

async function* numberedRows(path: string): AsyncGenerator<ImportItem> {
  let row = 0;
  for await (const { data, bytes } of readVectors(path)) {
    yield { row: { id: String(row), data }, bytes };
    row += 1;
  }
}

async function* pairedRows(path: string, rowsPath: string): AsyncGenerator<ImportItem> {
  const rows = readRows(rowsPath);
  try {
    for await (const { data, bytes } of readVectors(path)) {
      const next = await rows.next();
      if (next.done === true) throw new Error(`${rowsPath} changed while it was read`);
      const { parsed, ...item } = next.value;
      const both = item.bytes + bytes;
      yield parsed === undefined
        ? { ...item, bytes: both }
        : { row: asInsertRow({ ...parsed, data }), bytes: both };
    }
  } finally {
    await rows.return(undefined);
  }
}

async function* readVectors(path: string): AsyncGenerator<{ data: Float32Array; bytes: number }> {
  const reader = await NpyReader.open(path);
  const bytes = reader.header.columns * reader.header.itemBytes;
  try {
    for await (const data of reader.rows()) yield { data, bytes };
  } finally {
    await reader.close();
  }
}

/** A line of NDJSON: a row, or a problem. */
interface ReadRow extends Omit<ImportItem, 'row'> {
  readonly parsed?: ParsedRow;
}

async function* readRows(path: string): AsyncGenerator<ReadRow> {
  let readTo = 0;
  for await (const line of splitLines(readBytes(path))) {
    const bytes = line.endByte - readTo;
    readTo = line.endByte;
    const place = { path, line: line.number };
    if (line.text === undefined) {
      const errorMessage = line.problem ?? 'the line could not be read';
      yield { problem: { errorCode: 'INVALID_ARGUMENT', errorMessage, ...place }, bytes };
      continue;
    }
    const parsed = parseRow(line.text);
    if ('id' in parsed) yield { parsed, bytes };
    else yield { problem: { ...parsed, ...place }, bytes };
  }
}

/** The engine says what is wrong with a row that has neither vector nor text. */
function asInsertRow(row: ParsedRow): InsertRow {
  return row as InsertRow;
}
