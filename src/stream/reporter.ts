import type { Door, Reply } from '../native/door.js';
import type { WireOptions } from '../options.js';
import type { Progress } from '../progress.js';
import type { OnProgress } from './results.js';

/** Least time between two reports, in milliseconds. */
const INTERVAL_MS = 100;

/** What a stream knows of itself. */
export interface StreamState {
  readonly received: number;
  readonly applied: number;
  readonly failed: number;
  readonly bytes: number;
}

/**
 * Tells a stream's caller how far it is: the latest state wins, nothing queues up, counts never
 * fall, and there is exactly one last report.
 */
export class Reporter {
  readonly #door: Door;
  readonly #collection: string;
  readonly #onProgress: OnProgress;
  readonly #total: number | undefined;
  readonly #startedAt = performance.now();
  /** Applied operations by the sequence of their commit, until they are in the graph. */
  readonly #commits: { sequence: number; applied: number }[] = [];
  #reportedAt = Number.NEGATIVE_INFINITY;
  #isReporting = false;
  #durable = 0;
  #indexed = 0;

  constructor(door: Door, collection: string, onProgress: OnProgress, total: number | undefined) {
    this.#door = door;
    this.#collection = collection;
    this.#onProgress = onProgress;
    this.#total = total;
  }

  /** Notes how many operations are applied with a commit. */
  committed(sequence: number, applied: number): void {
    this.#commits.push({ sequence, applied });
  }

  /** Reports where the last report is long enough ago. */
  async report(state: () => StreamState): Promise<void> {
    if (this.#isReporting || performance.now() - this.#reportedAt < INTERVAL_MS) return;
    this.#isReporting = true;
    try {
      await this.#tell(state);
    } finally {
      this.#isReporting = false;
    }
  }

  /** The last report. */
  async finish(state: () => StreamState): Promise<void> {
    this.#isReporting = true;
    await this.#tell(state);
  }

  async #tell(state: () => StreamState): Promise<void> {
    this.#reportedAt = performance.now();
    const [info, limits] = await Promise.all([
      this.#ask('collections.info', { collection: this.#collection }),
      this.#ask('limits', {}),
    ]);
    const { received, applied, failed, bytes } = state();
    this.#durable = Math.max(this.#durable, this.#upTo(info?.durable));
    this.#indexed = Math.max(this.#indexed, this.#upTo(info?.indexed));
    const indexed = typeof info?.indexed === 'number' ? info.indexed : 0;
    // One commit stays, so that what is durable can still be told.
    while ((this.#commits[1]?.sequence ?? Number.POSITIVE_INFINITY) <= indexed)
      this.#commits.shift();
    const ratePerS = (received / Math.max(performance.now() - this.#startedAt, 1)) * 1000;
    const left = this.#total === undefined ? undefined : Math.max(this.#total - received, 0);
    const progress: Progress = {
      ...(this.#total !== undefined && { total: this.#total }),
      received,
      durable: this.#durable,
      applied,
      indexed: this.#indexed,
      failed,
      bytes,
      ratePerS,
      ...(left !== undefined && ratePerS > 0 && { etaS: left / ratePerS }),
      memoryBytes: (limits?.memory_used_bytes as { value?: number })?.value ?? 0,
    };
    this.#onProgress(progress);
  }

  #upTo(sequence: unknown): number {
    const reached = this.#commits.filter((commit) => commit.sequence <= (sequence as number));
    return reached.at(-1)?.applied ?? 0;
  }

  /** A store that is closing answers nothing; the stream's own counts are told all the same. */
  async #ask(verb: string, header: WireOptions): Promise<Reply | undefined> {
    try {
      return await this.#door.call(verb, header);
    } catch {
      return undefined;
    }
  }
}
