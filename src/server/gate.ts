import { VolleyError } from '../errors.js';
import { type Caller, type Keys, requireRight, type Scope } from './keys.js';

/** What one request wants to do. */
export interface Wish {
  readonly authorization: string | undefined;
  /** What is needed; `undefined` = any key. */
  readonly scope: Scope | undefined;
  /** The collection concerned; `undefined` = all of them. */
  readonly collection: string | undefined;
}

/** A request that was let in. */
export interface Pass {
  readonly caller: Caller;
  /**
   * Counts bytes of the request towards the share of its key, until they are given back or the
   * pass ends.
   *
   * @throws VolleyError `OVERLOADED`, or `MEMORY_LIMIT_EXCEEDED` for more than the whole share.
   */
  take(bytes: number): void;
  /** The same for a part of a stream, which waits until the share has room. */
  takeInTurn(bytes: number): Promise<void>;
  /** Gives bytes back before the pass ends. */
  giveBack(bytes: number): void;
  /** Ends the request. */
  end(): void;
}

/** Milliseconds after which a refused caller may try again. */
const RETRY_AFTER_MS = 1000;

interface Usage {
  bytes: number;
  /** Parts of streams that wait for room in the share. */
  readonly waiting: (() => void)[];
  /** Requests that may come now, and when that was so. */
  tokens: number;
  since: number;
}

/**
 * Who may come in: rights, rates and shares of keys, for all surfaces of one server alike. The
 * memory of all callers together is the engine's to give.
 */
export class Gate {
  readonly #keys: Keys;
  readonly #now: () => number;
  readonly #usage = new Map<string, Usage>();
  readonly #waiting: (() => void)[] = [];
  #requests = 0;
  #closed = false;

  constructor(keys: Keys, now: () => number = Date.now) {
    this.#keys = keys;
    this.#now = now;
  }

  /** Requests in work. */
  get requests(): number {
    return this.#requests;
  }

  /** Whether requests are let in. */
  get isOpen(): boolean {
    return !this.#closed;
  }

  /**
   * Lets a request in.
   *
   * @throws VolleyError `UNAUTHENTICATED`, `PERMISSION_DENIED`, `OVERLOADED` over the caller's
   *   rate, `STORE_CLOSED` while the server stops.
   */
  enter({ authorization, scope, collection }: Wish): Pass {
    if (this.#closed) {
      throw new VolleyError('STORE_CLOSED', 'the server is stopping', { retriable: true });
    }
    const caller = this.identify(authorization);
    if (scope !== undefined) requireRight(caller, scope, collection);
    const usage = this.#usageOf(caller);
    takeToken(caller, usage, this.#now());
    this.#requests += 1;
    return this.#pass(caller, usage);
  }

  /**
   * Who it is that calls.
   *
   * @throws VolleyError `UNAUTHENTICATED`.
   */
  identify(authorization: string | undefined): Caller {
    return this.#keys.caller(authorization);
  }

  /** Lets nobody in any more; resolves when the last request has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#requests === 0) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #pass(caller: Caller, usage: Usage): Pass {
    let held = 0;
    let ended = false;
    const count = (bytes: number) => {
      // What comes after the end was given back with it.
      if (ended) return;
      held += bytes;
      usage.bytes += bytes;
    };
    const giveBack = (bytes: number) => {
      count(-bytes);
      for (const wake of usage.waiting.splice(0)) wake();
    };
    return {
      caller,
      take: (bytes) => {
        const refusal = shareRefusal(caller, usage, bytes);
        if (refusal !== undefined) throw refusal;
        count(bytes);
      },
      takeInTurn: async (bytes) => {
        for (;;) {
          const refusal = shareRefusal(caller, usage, bytes);
          if (refusal === undefined) return count(bytes);
          if (!refusal.retriable) throw refusal;
          await new Promise<void>((resolve) => usage.waiting.push(resolve));
        }
      },
      giveBack,
      end: () => {
        if (ended) return;
        giveBack(held);
        ended = true;
        this.#requests -= 1;
        if (this.#requests === 0) for (const resolve of this.#waiting.splice(0)) resolve();
      },
    };
  }

  #usageOf(caller: Caller): Usage {
    let usage = this.#usage.get(caller.name);
    if (usage === undefined) {
      usage = { bytes: 0, waiting: [], tokens: burstOf(caller), since: this.#now() };
      this.#usage.set(caller.name, usage);
    }
    return usage;
  }
}

/** Why a key may not have so many bytes in work, if it may not. */
function shareRefusal(caller: Caller, { bytes: used }: Usage, bytes: number) {
  const { name, in_flight_bytes: limit } = caller;
  if (limit === undefined || used + bytes <= limit) return undefined;
  const isAlwaysTooMuch = bytes > limit;
  const message = `key ${name} may have ${limit} bytes in work, ${used} are and ${bytes} came`;
  return new VolleyError(isAlwaysTooMuch ? 'MEMORY_LIMIT_EXCEEDED' : 'OVERLOADED', message, {
    retriable: !isAlwaysTooMuch,
    details: {
      budget: 'in_flight_bytes',
      limit,
      used,
      actual: bytes,
      unit: 'bytes',
      ...(!isAlwaysTooMuch && { retry_after_ms: RETRY_AFTER_MS }),
    },
  });
}

/** Requests that may come at once: what one second brings, at least one. */
function burstOf({ requests_per_s = 0 }: Caller): number {
  return Math.max(requests_per_s, 1);
}

/** A bucket that fills at the caller's rate. */
function takeToken(caller: Caller, usage: Usage, now: number): void {
  const rate = caller.requests_per_s;
  if (rate === undefined) return;
  const filled = usage.tokens + ((now - usage.since) / 1000) * rate;
  usage.tokens = Math.min(burstOf(caller), filled);
  usage.since = now;
  if (usage.tokens < 1) {
    const retryAfterMs = Math.ceil(((1 - usage.tokens) / rate) * 1000);
    throw new VolleyError('OVERLOADED', `key ${caller.name} is over ${rate} requests a second`, {
      retriable: true,
      details: { limit: rate, unit: 'requests per second', retry_after_ms: retryAfterMs },
    });
  }
  usage.tokens -= 1;
}
