import { access } from 'node:fs/promises';
import { UsageError } from '../arguments.js';
import { isPassageFile } from './passages.js';
import { recordSource, type Source, textSource, vectorSource } from './source.js';
import { type FoundFile, walkFiles } from './walk.js';

/** What the command line says about the input. */
export interface SourceQuest {
  readonly paths: readonly string[];
  /** Rows that belong to the one `.npy` file among the paths. */
  readonly ids?: string | undefined;
  /** Vectors that belong to the one NDJSON file among the paths. */
  readonly vectors?: string | undefined;
  /** Told why a file was left out. */
  readonly onNotice?: (notice: string) => void;
}

/** Finds what is to be imported; at least one file, or it is an error. */
export async function findSources(quest: SourceQuest): Promise<Source[]> {
  const { paths, ids, vectors, onNotice } = quest;
  if (ids !== undefined || vectors !== undefined) return [await pairedSource(quest)];
  const sources: Source[] = [];
  const walk = { accepts: isPassageFile, ...(onNotice === undefined ? {} : { onNotice }) };
  for await (const file of walkFiles(paths, walk)) sources.push(await sourceOf(file));
  if (sources.length === 0) throw new Error(`nothing to read in ${paths.join(', ')}`);
  return sources;
}

async function pairedSource({ paths, ids, vectors }: SourceQuest): Promise<Source> {
  const [path, ...others] = paths;
  if (path === undefined || others.length > 0 || (ids !== undefined && vectors !== undefined)) {
    throw new UsageError('--ids and --vectors go with exactly one file, and not together');
  }
  const [rowsPath, vectorsPath] = vectors === undefined ? [ids, path] : [path, vectors];
  return await vectorSource(vectorsPath, rowsPath);
}

async function sourceOf({ path, name, bytes }: FoundFile): Promise<Source> {
  if (/\.(jsonl|ndjson)$/i.test(path)) return recordSource(path, bytes);
  if (/\.npy$/i.test(path)) return await vectorSource(path, await rowsBeside(path));
  return textSource(path, bytes, name);
}

/** The NDJSON file of the same base name, where there is one. */
async function rowsBeside(path: string): Promise<string | undefined> {
  for (const extension of ['.jsonl', '.ndjson']) {
    const candidate = path.replace(/\.npy$/i, extension);
    try {
      await access(candidate);
      return candidate;
    } catch {
      // The next one may be there.
    }
  }
  return undefined;
}
