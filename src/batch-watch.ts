import { camelDeep } from './decode.js';
import type { Door } from './native/door.js';
import type { BatchProgress } from './progress.js';

/** Milliseconds between two reports. */
const INTERVAL_MS = 100;

/**
 * Tells a batch's caller how far it is while it runs: the latest state wins, nothing queues up,
 * and there is exactly one last report.
 */
export class BatchWatch {
  readonly #door: Door;
  readonly #batchId: string;
  readonly #timer: NodeJS.Timeout;
  #onProgress: ((progress: BatchProgress) => void) | undefined;
  #asking: Promise<void> | undefined;

  constructor(door: Door, batchId: string, onProgress: (progress: BatchProgress) => void) {
    this.#door = door;
    this.#batchId = batchId;
    this.#onProgress = onProgress;
    this.#timer = setInterval(() => {
      this.#asking ??= this.#tell().finally(() => {
        this.#asking = undefined;
      });
    }, INTERVAL_MS);
  }

  /** The last report, once the batch has ended. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    await this.#asking;
    await this.#tell();
  }

  async #tell(): Promise<void> {
    let reply: unknown;
    try {
      reply = await this.#door.call('batches.get', { batch_id: this.#batchId });
    } catch {
      // The batch has not begun, or the store is closing: there is nothing to tell.
      return;
    }
    try {
      this.#onProgress?.(camelDeep(reply) as BatchProgress);
    } catch {
      // What a watcher throws says nothing of the batch, which goes on unwatched.
      this.#onProgress = undefined;
    }
  }
}
