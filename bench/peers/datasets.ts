import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Dataset, generatedDataset, realDataset } from '../data.js';

/** What `--only` selects by, and how the data set is made of at most so many rows. */
const SOURCES: Record<string, (rows: number | undefined) => Dataset | undefined> = {
  real: (rows) => realDataset('shuffled', rows),
  'real-ordered': (rows) => realDataset('file', rows),
  384: (rows) => generated(384, rows),
  768: (rows) => generated(768, rows),
  1536: (rows) => generated(1536, rows),
};

const GENERATED_ROWS = 100_000;
/** Queries of a generated data set: fewer where there are more pairs than these to compare. */
const GENERATED_QUERIES = 1000;
const GENERATED_PAIRS_MAX = 2e8;
/** Files are written and read in pieces: one call takes at most 2 GiB. */
const PIECE_BYTES = 1 << 30;

function generated(dimension: number, rows = GENERATED_ROWS): Dataset {
  const queries = Math.min(GENERATED_QUERIES, Math.ceil(GENERATED_PAIRS_MAX / rows));
  return generatedDataset(rows, dimension, queries);
}

/** The names of the data sets of a list, or those that are compared where there is no list. */
export function datasetNames(list: string | undefined): string[] {
  const first = process.env.VOLLEY_BENCH_DATA === undefined ? ['384'] : ['real', 'real-ordered'];
  const names = list?.split(',').map((name) => name.trim()) ?? [...first, '768', '1536'];
  const unknown = names.find((name) => !(name in SOURCES));
  if (unknown === undefined) return names;
  throw new Error(`--only: "${unknown}" is none of ${Object.keys(SOURCES).join(', ')}`);
}

/** The data set of that name, or `undefined` where it is not to be had. */
export function makeDataset(name: string, rows: number | undefined): Dataset | undefined {
  return SOURCES[name]?.(rows);
}

/** What a process needs to read a written data set; the numbers lie in files. */
export interface WrittenDataset {
  readonly folder: string;
  readonly name: string;
  readonly dimension: number;
  readonly count: number;
  readonly queryCount: number;
}

/** Writes the numbers of a data set to files of the folder, for other processes. */
export function writeDataset(data: Dataset, folder: string): WrittenDataset {
  const { name, dimension, count, queryCount } = data;
  for (const part of ['base', 'queries', 'nearest'] as const) {
    const { buffer, byteOffset, byteLength } = data[part];
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const file = openSync(join(folder, part), 'w');
    for (let at = 0; at < byteLength; ) {
      at += writeSync(file, bytes, at, Math.min(PIECE_BYTES, byteLength - at));
    }
    closeSync(file);
  }
  return { folder, name, dimension, count, queryCount };
}

/** The data set that was written. */
export function readDataset({ folder, ...rest }: WrittenDataset): Dataset {
  const bytes = (part: string) => {
    const path = join(folder, part);
    // An array of its own: small files are read into a shared one, at any offset.
    const array = new Uint8Array(statSync(path).size);
    const file = openSync(path, 'r');
    for (let at = 0; at < array.length; ) {
      const read = readSync(file, array, at, Math.min(PIECE_BYTES, array.length - at), null);
      if (read === 0) throw new Error(`${path} became shorter while it was read`);
      at += read;
    }
    closeSync(file);
    return array.buffer;
  };
  return {
    ...rest,
    base: new Float32Array(bytes('base')),
    queries: new Float32Array(bytes('queries')),
    nearest: new Int32Array(bytes('nearest')),
  };
}
