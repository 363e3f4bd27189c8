import { setTimeout as delay } from 'node:timers/promises';
import { VolleyError } from '../errors.js';

/** How often and how soon a call is made again. */
export interface RetryOptions {
  /** Attempts beside the first. */
  readonly retries: number;
  /** Milliseconds before the first retry; twice as many before each further one. */
  readonly retryDelayMs: number;
}

/** Longest wait that a server can ask for, and that doubling leads to. */
const DELAY_MS_MAX = 30_000;

/** Makes a call, and makes it again where its failure says that this may help. */
export async function retried<Result>(
  call: () => Promise<Result>,
  { retries, retryDelayMs }: RetryOptions,
  signal: AbortSignal,
): Promise<Result> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await call();
    } catch (failure) {
      const mayHelp = failure instanceof VolleyError && failure.retriable;
      if (!mayHelp || attempt >= retries) throw failure;
      const asked = Number(failure.details.retryAfterMs ?? 0);
      const doubled = retryDelayMs * 2 ** attempt;
      // Callers that were refused together must not come back together.
      const jittered = doubled * (0.5 + Math.random() / 2);
      const waitMs = Math.min(Math.max(asked, jittered), DELAY_MS_MAX);
      await delay(waitMs, undefined, { signal }).catch(() => {
        throw failure;
      });
    }
  }
}
