import { once } from 'node:events';

/** A stream that text is written to; `process.stdout` is one. */
export interface TextStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface TerminalOptions {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What switches a style on and off: ECMA-48, Select Graphic Rendition. */
const STYLES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], cyan: [36, 39] };

type Style = keyof typeof STYLES;

const COLUMNS_DEFAULT = 80;
const COLUMNS_MAX = 100;

/** Where a command writes: results to stdout, notices and progress to stderr. */
export class Terminal {
  readonly #stdout: TextStream;
  readonly #stderr: TextStream;
  readonly #styled: boolean;

  constructor({ stdout, stderr, env }: TerminalOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    const refused = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
    this.#styled = stdout.isTTY === true && !refused;
  }

  /** Columns of text lines. */
  get columns(): number {
    return Math.min(this.#stdout.columns ?? COLUMNS_DEFAULT, COLUMNS_MAX);
  }

  /** Whether somebody watches stderr, so that a line may be drawn over. */
  get showsProgress(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Columns of the line that progress is drawn on. */
  get progressColumns(): number {
    return Math.min(this.#stderr.columns ?? COLUMNS_DEFAULT, COLUMNS_MAX);
  }

  /** Writes lines of the result. */
  print(...lines: readonly string[]): void {
    for (const line of lines) this.#stdout.write(`${line}\n`);
  }

  /** Writes a piece of the result as it is, and waits while the reader is behind. */
  async write(text: string): Promise<void> {
    if (!this.#stdout.write(text)) await once(this.#stdout, 'drain');
  }

  /** Writes one JSON document, on one line. */
  printJson(value: unknown): void {
    this.print(toJson(value));
  }

  /** Writes lines beside the result. */
  notice(...lines: readonly string[]): void {
    for (const line of lines) this.#stderr.write(`${line}\n`);
  }

  /** Writes to the line that progress is drawn on. */
  drawProgress(text: string): void {
    this.#stderr.write(text);
  }

  /** The text in a style, where stdout shows styles. */
  style(style: Style, text: string): string {
    const [on, off] = STYLES[style];
    return this.#styled ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  }
}

/** JSON text of a value; typed arrays become lists of numbers. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, entry: unknown) =>
    entry instanceof Float32Array ? Array.from(entry) : entry,
  );
}
