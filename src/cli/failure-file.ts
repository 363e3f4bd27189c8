import { type FileHandle, open } from 'node:fs/promises';
import type { LoadFailure } from './load.js';
import { toJson } from './terminal.js';

/**
 * Failed operations, one a line: `{...the operation, "error": {...}}`.
 *
 * `volley import` reads the file again once the cause is mended; it is made at the first failure.
 */
export class FailureFile {
  readonly #path: string;
  #file: Promise<FileHandle> | undefined;
  #written: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Adds one operation; lines are written in the order of the calls. */
  async add({ row, error }: LoadFailure): Promise<void> {
    this.#file ??= open(this.#path, 'w');
    const file = await this.#file;
    const written = this.#written.then(() => file.write(`${toJson({ ...row, error })}\n`));
    this.#written = written;
    await written;
  }

  async close(): Promise<void> {
    await (await this.#file)?.close();
  }
}
