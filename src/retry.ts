import { setTimeout as sleep } from 'node:timers/promises';
import { VolleyError } from './errors.js';

/** How often and after which pauses something is tried again. */
export interface RetryRule {
  /** Tries after the first one. */
  readonly attempts: number;
  /** Milliseconds before the second try; each further pause is twice as long. */
  readonly delayMs: number;
}

/** The longest pause between two tries, in milliseconds. */
const DELAY_MS_MAX = 30_000;

/** A failure, and how often the work was tried. */
export class RetriedError extends Error {
  /** Tries in all. */
  readonly attempts: number;

  constructor(cause: unknown, attempts: number) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.attempts = attempts;
  }
}

/**
 * Does the work, again where it fails for a reason that may pass. Pauses grow exponentially; each
 * is drawn between half and the whole of its length, so that callers do not come back in step.
 *
 * @throws RetriedError The last failure and the count of tries.
 */
export async function withRetries<T>(
  rule: RetryRule,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (failure) {
      const last = attempt > rule.attempts || signal.aborted || !isRetriable(failure);
      if (last) throw new RetriedError(failure, attempt);
      const pause = Math.max(pauseMs(rule, attempt), retryAfterMs(failure));
      try {
        await sleep(pause, undefined, { signal });
      } catch {
        throw new RetriedError(failure, attempt);
      }
    }
  }
}

function pauseMs({ delayMs }: RetryRule, attempt: number): number {
  const whole = Math.min(delayMs * 2 ** (attempt - 1), DELAY_MS_MAX);
  return whole / 2 + (Math.random() * whole) / 2;
}

/** An error says itself whether it may pass; one that does not say may. */
function isRetriable(failure: unknown): boolean {
  if (failure instanceof VolleyError) return failure.retriable;
  const { retriable } = (failure ?? {}) as { retriable?: unknown };
  if (typeof retriable === 'boolean') return retriable;
  // A mistake in the program comes again every time.
  return (
    !(failure instanceof TypeError && failure.cause === undefined) &&
    !(failure instanceof RangeError) &&
    !(failure instanceof ReferenceError)
  );
}

/** The pause that the failure itself asks for, within bounds. */
function retryAfterMs(failure: unknown): number {
  const details = failure instanceof VolleyError ? failure.details : undefined;
  const { retryAfterMs: asked } = (details ?? {}) as { retryAfterMs?: unknown };
  return typeof asked === 'number' && asked > 0 ? Math.min(asked, DELAY_MS_MAX) : 0;
}
