import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';

/** Largest text file that is read, in bytes: text files are read whole. */
export const TEXT_FILE_BYTES_MAX = 64 * 1024 * 1024;

/** Folders that are not entered from above; they can be named as a path to walk. */
const FOLDERS_LEFT_OUT = new Set(['.git', 'node_modules']);

/** A file that was found. */
export interface FoundFile {
  /** The path to open. */
  readonly path: string;
  /** The path that names it: with `/` on every system, without a leading `./`. */
  readonly name: string;
  /** Its size, in bytes. */
  readonly bytes: number;
}

export interface WalkOptions {
  /** Whether a file in a folder is wanted; files that are named outright always are. */
  readonly accepts: (fileName: string) => boolean;
  /** Told why a file was left out. */
  readonly onNotice?: (notice: string) => void;
}

/**
 * Finds the files under the paths, folders recursively, in the order of their names.
 *
 * Every folder is entered once, so links that form a loop end the walk and files that can be
 * reached twice come once. A path that does not exist is an error.
 */
export async function* walkFiles(
  paths: readonly string[],
  options: WalkOptions,
): AsyncGenerator<FoundFile> {
  const seen = new Set<string>();
  for (const path of paths) {
    const found = await stat(path);
    if (found.isDirectory()) yield* walkFolder(path, options, seen);
    else yield* acceptFile(path, options, seen);
  }
}

async function* walkFolder(
  folder: string,
  options: WalkOptions,
  seen: Set<string>,
): AsyncGenerator<FoundFile> {
  if (!(await isNew(folder, seen))) return;
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const found = entry.isSymbolicLink() ? await statOrUndefined(path) : entry;
    if (found?.isDirectory()) {
      if (!FOLDERS_LEFT_OUT.has(entry.name)) yield* walkFolder(path, options, seen);
    } else if (found?.isFile() && options.accepts(entry.name)) {
      yield* acceptFile(path, options, seen);
    }
  }
}

async function* acceptFile(
  path: string,
  options: WalkOptions,
  seen: Set<string>,
): AsyncGenerator<FoundFile> {
  const { size } = await stat(path);
  const problem = isStructured(path) ? undefined : await textProblem(path, size);
  if (problem !== undefined) options.onNotice?.(`${path}: left out, ${problem}`);
  else if (await isNew(path, seen)) yield { path, name: portableName(path), bytes: size };
}

/** Remembers where a path really leads; false where that was seen before. */
async function isNew(path: string, seen: Set<string>): Promise<boolean> {
  const real = await realpath(path);
  if (seen.has(real)) return false;
  seen.add(real);
  return true;
}

/** Why a file cannot be read as text; absent where it can. */
async function textProblem(path: string, bytes: number): Promise<string | undefined> {
  if (bytes > TEXT_FILE_BYTES_MAX) {
    return `it is ${bytes} bytes of text, the limit is ${TEXT_FILE_BYTES_MAX} bytes`;
  }
  return (await looksBinary(path)) ? 'it is not text' : undefined;
}

/** Whether a file is read as a stream of records, by its name. */
export function isStructured(path: string): boolean {
  return /\.(jsonl|ndjson|npy)$/i.test(path);
}

/** A zero byte at the beginning tells binary files from text, as git does it. */
async function looksBinary(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(8192), 0, 8192, 0);
    return buffer.subarray(0, bytesRead).includes(0);
  } finally {
    await file.close();
  }
}

async function statOrUndefined(path: string) {
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}

/** The path as an id is made of it: the same on every system. */
export function portableName(path: string): string {
  const name = path
    .split(sep)
    .join('/')
    .replace(/^(\.\/)+/, '');
  return name === '' ? basename(path) : name;
}
