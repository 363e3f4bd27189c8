import { camelDeep } from './decode.js';
import { VolleyError } from './errors.js';
import type { Door, Reply } from './native/door.js';
import type { BatchProgress } from './progress.js';

/** Milliseconds between two reports. */
const INTERVAL_MS = 100;

/** The batch that is watched: its name, and what was asked of which collection. */
export interface Watched extends Pick<BatchProgress, 'batchId' | 'verb'> {
  readonly collection: string;
  /** Whether it writes nothing. */
  readonly isPreview: boolean;
}

/**
 * Tells a batch's caller how far it is while it runs: the latest state wins, nothing queues up,
 * and there is exactly one last report, also where the engine cannot tell of it any more.
 */
export class BatchWatch {
  readonly #door: Door;
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout;
  #onProgress: ((progress: BatchProgress) => void) | undefined;
  readonly #isPreview: boolean;
  #last: BatchProgress;
  #asking: Promise<void> | undefined;

  constructor(door: Door, watched: Watched, onProgress: (progress: BatchProgress) => void) {
    this.#door = door;
    const { isPreview, ...names } = watched;
    this.#isPreview = isPreview;
    this.#last = { ...names, ...NOTHING_YET };
    this.#onProgress = onProgress;
    this.#timer = setInterval(() => {
      this.#asking ??= this.#look().finally(() => {
        this.#asking = undefined;
      });
    }, INTERVAL_MS);
  }

  /** The last report, once the batch has ended with this reply. */
  async finish(reply: Reply): Promise<void> {
    await this.#end(() => endOf(reply, this.#isPreview));
  }

  /** The last report of a batch that was refused or stopped. */
  async fail(error: unknown): Promise<void> {
    const isVolley = error instanceof VolleyError;
    await this.#end(() => ({
      status: isVolley && error.code === 'CANCELLED' ? 'cancelled' : 'failed',
      ...(isVolley && { errorCode: error.code }),
      errorMessage: error instanceof Error ? error.message : String(error),
    }));
  }

  async #end(known: () => Partial<BatchProgress>): Promise<void> {
    clearInterval(this.#timer);
    await this.#asking;
    const told = await this.#ask();
    // A call that never began, or whose store has closed since, is told of by its own end.
    if (told !== undefined && told.status !== 'running') return this.#tell(told);
    const processingTimeMs = performance.now() - this.#began;
    this.#tell({ ...this.#last, processingTimeMs, ...known() });
  }

  async #look(): Promise<void> {
    const told = await this.#ask();
    // How it ended is told once, by the last report.
    if (told?.status === 'running') this.#tell(told);
  }

  async #ask(): Promise<BatchProgress | undefined> {
    try {
      const reply = await this.#door.call('batches.get', { batch_id: this.#last.batchId });
      return camelDeep(reply) as BatchProgress;
    } catch {
      return undefined;
    }
  }

  #tell(progress: BatchProgress): void {
    this.#last = progress;
    try {
      this.#onProgress?.(progress);
    } catch {
      // What a watcher throws says nothing of the batch, which goes on unwatched.
      this.#onProgress = undefined;
    }
  }
}

const NOTHING_YET = {
  status: 'running',
  received: 0,
  durable: 0,
  applied: 0,
  indexed: 0,
  failed: 0,
  bytes: 0,
  ratePerS: 0,
  memoryBytes: 0,
  sequence: null,
  processingTimeMs: 0,
} as const;

function endOf(reply: Reply, isPreview: boolean): Partial<BatchProgress> {
  const count = (name: string) => Number(reply[name] ?? 0);
  const failed = count('failed_count');
  const succeeded = ['inserted', 'updated', 'deleted', 'skipped', 'unchanged']
    .map((name) => count(`${name}_count`))
    .reduce((sum, n) => sum + n, 0);
  const applied = isPreview ? 0 : succeeded;
  const status = reply.status as BatchProgress['status'];
  return { status, received: succeeded + failed, durable: applied, applied, failed };
}
