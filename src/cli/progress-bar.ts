import { performance } from 'node:perf_hooks';
import { formatAmount, formatDuration, formatRate, truncate } from './format.js';
import type { Terminal } from './terminal.js';

/** How far a piece of work has come. */
export interface Progress {
  /** Input finished, and all input, in bytes. */
  readonly bytes: number;
  readonly bytesTotal: number;
  /** Records finished. */
  readonly records: number;
}

const DRAW_INTERVAL_MS = 100;
const BAR_COLUMNS = 24;

/** A bar on stderr; nothing at all where nobody watches. */
export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #startedAt = performance.now();
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Draws the bar anew, at most ten times a second. */
  update(progress: Progress): void {
    if (!this.#terminal.showsProgress) return;
    const now = performance.now();
    if (now - this.#drawnAt < DRAW_INTERVAL_MS) return;
    this.#drawnAt = now;
    const line = progressLine(progress, now - this.#startedAt);
    this.#terminal.drawProgress(`\r\x1b[K${truncate(line, this.#terminal.progressColumns - 1)}`);
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#terminal.showsProgress) this.#terminal.drawProgress('\r\x1b[K');
  }
}

/** The bar as text: done, records, rate and the time that is left. */
export function progressLine(progress: Progress, elapsedMs: number): string {
  const { bytes, bytesTotal, records } = progress;
  const done = bytesTotal === 0 ? 1 : Math.min(1, bytes / bytesTotal);
  const filled = Math.floor(done * BAR_COLUMNS);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_COLUMNS - filled);
  const percent = `${String(Math.floor(done * 100)).padStart(3)} %`;
  const rate = formatRate((records / elapsedMs) * 1000);
  const left = done > 0 && elapsedMs > 500 ? formatEta((elapsedMs / done) * (1 - done)) : '';
  return `${bar} ${percent}  ${formatAmount(records, 'record')}  ${rate}${left}`;
}

function formatEta(milliseconds: number): string {
  return `  ${formatDuration(Math.ceil(milliseconds / 1000) * 1000).replace(/\.\d+/, '')} left`;
}
