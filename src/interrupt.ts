import { cancelBatch } from './cancel.js';
import { TIMER_MS_MAX } from './deadline.js';
import { VolleyError } from './errors.js';
import type { CallContext, Door, Reply } from './native/door.js';
import type { WireOptions } from './options.js';

/** The options by which a caller ends a call early. */
export interface InterruptOptions {
  /**
   * Cancels the call. Before its commit nothing is applied and it fails with `CANCELLED`; after
   * it the call has its true result.
   */
  signal?: AbortSignal | undefined;
  /**
   * Milliseconds that the call may take, more than 0. Where they pass before the commit, nothing
   * is applied and it fails with `DEADLINE_EXCEEDED`; a `waitFor` that runs out of time has the
   * result with the level that was `reached`. Default: none.
   */
  deadlineMs?: number | undefined;
}

/** One call that its caller may end early, with all that belongs to it. */
export class InterruptibleCall {
  readonly #door: Door;
  readonly #context: CallContext;
  readonly #closing: AbortSignal;
  readonly #caller: AbortSignal | undefined;
  readonly #deadlineAt: number | undefined;
  #deadline: AbortSignal | undefined;
  #signal: AbortSignal | undefined;
  #stopping: Promise<void> | undefined;

  /**
   * @throws VolleyError `CANCELLED` where the signal is aborted already; `INVALID_ARGUMENT`.
   */
  constructor(door: Door, options: InterruptOptions, closing: AbortSignal, context: CallContext) {
    const { signal, deadlineMs } = options;
    checkOptions(options);
    if (signal?.aborted) throw cancelled(signal.reason);
    this.#door = door;
    this.#caller = signal;
    const interruptible = signal !== undefined || deadlineMs !== undefined;
    this.#context = {
      ...context,
      ...(interruptible && { batchId: context.batchId ?? door.newBatchId() }),
      ...(deadlineMs !== undefined && { deadlineMs }),
    };
    this.#closing = closing;
    this.#deadlineAt = deadlineMs === undefined ? undefined : performance.now() + deadlineMs;
  }

  /**
   * Aborted with the caller's signal, at the deadline, and when the store closes. The engine keeps
   * the deadline itself: this is for the embedder, and made only where there is one to be woken.
   */
  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal;
    if (this.#deadlineAt !== undefined) {
      const leftMs = Math.max(0, Math.ceil(this.#deadlineAt - performance.now()));
      this.#deadline = AbortSignal.timeout(Math.min(leftMs, TIMER_MS_MAX));
    }
    const signals = [this.#closing, this.#caller, this.#deadline];
    const given = signals.filter((signal) => signal !== undefined);
    this.#signal = given.length === 1 ? this.#closing : AbortSignal.any(given);
    return this.#signal;
  }

  /** Whether the caller, not the store, has ended the call. */
  get isInterrupted(): boolean {
    return this.#caller?.aborted === true || this.#deadline?.aborted === true;
  }

  /** The engine's answer; where the caller's signal is aborted meanwhile, it comes at once. */
  async send(verb: string, header: WireOptions, block?: Float32Array): Promise<Reply> {
    // Where it cannot be stopped, its true result comes.
    const stop = () => void this.stop().catch(() => {});
    this.#caller?.addEventListener('abort', stop, { once: true });
    try {
      return await this.#door.call(verb, header, block, this.#context);
    } finally {
      this.#caller?.removeEventListener('abort', stop);
    }
  }

  /** Goes on with the batch after the engine has asked for embeddings. */
  async resume(header: WireOptions, block?: Float32Array): Promise<Reply> {
    return this.#door.call('resume', header, block);
  }

  /** Stops the batch in the engine; resolves when it knows. */
  stop(): Promise<void> {
    const { batchId } = this.#context;
    const reason = this.#caller?.aborted ? 'cancelled' : 'deadline';
    this.#stopping ??=
      batchId === undefined ? Promise.resolve() : cancelBatch(this.#door, batchId, reason);
    return this.#stopping;
  }
}

/** The error of a call that was cancelled before it began. */
export function cancelled(cause: unknown): VolleyError {
  const message = 'the call was cancelled before its commit';
  return new VolleyError('CANCELLED', message, { retriable: true, cause });
}

function checkOptions({ signal, deadlineMs }: InterruptOptions): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new VolleyError('INVALID_ARGUMENT', 'signal must be an AbortSignal', {
      details: { field: 'signal' },
    });
  }
  if (deadlineMs === undefined) return;
  if (typeof deadlineMs === 'number' && deadlineMs > 0) return;
  throw new VolleyError('INVALID_ARGUMENT', 'deadlineMs must be a number above 0', {
    details: { field: 'deadlineMs', actual: deadlineMs },
  });
}

/**
 * What the work comes to, or a rejection with the signal's reason as soon as that is aborted,
 * whether the work listens to it or not.
 */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
