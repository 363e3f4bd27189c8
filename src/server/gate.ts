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
   * Takes in bytes of the request; they are given back when the pass ends.
   *
   * @throws VolleyError `OVERLOADED` where the budget of the server or of the caller is used up.
   */
  reserve(bytes: number): void;
  /** Gives bytes back before the pass ends. */
  release(bytes: number): void;
  /** Ends the request. */
  end(): void;
}

/** Milliseconds after which a refused caller may try again. */
const RETRY_AFTER_MS = 1000;

interface Usage {
  bytes: number;
  /** Requests that may come now, and when that was so. */
  tokens: number;
  since: number;
}

/** Who may come in: rights, rates and bytes in work, for all surfaces of one server alike. */
export class Gate {
  readonly #keys: Keys;
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #usage = new Map<string, Usage>();
  readonly #waiting: (() => void)[] = [];
  #bytes = 0;
  #requests = 0;
  #closed = false;

  /** @param bytesMax Bytes of requests in work at the same time, of all callers. */
  constructor(keys: Keys, bytesMax: number, now: () => number = Date.now) {
    this.#keys = keys;
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  /** Requests in work. */
  get requests(): number {
    return this.#requests;
  }

  /** Bytes of requests in work. */
  get bytes(): number {
    return this.#bytes;
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
    const release = (bytes: number) => {
      held -= bytes;
      usage.bytes -= bytes;
      this.#bytes -= bytes;
    };
    return {
      caller,
      reserve: (bytes) => {
        this.#check('of the server', this.#bytes, bytes, this.#bytesMax);
        const share = caller.in_flight_bytes ?? this.#bytesMax;
        this.#check(`of key ${caller.name}`, usage.bytes, bytes, share);
        held += bytes;
        usage.bytes += bytes;
        this.#bytes += bytes;
      },
      release,
      end: () => {
        if (ended) return;
        ended = true;
        release(held);
        this.#requests -= 1;
        if (this.#requests === 0) for (const resolve of this.#waiting.splice(0)) resolve();
      },
    };
  }

  #check(whose: string, used: number, bytes: number, limit: number): void {
    if (used + bytes <= limit) return;
    const message = `the budget ${whose} is ${limit} bytes, ${used} are in work and ${bytes} came`;
    throw new VolleyError(used === 0 ? 'MEMORY_LIMIT_EXCEEDED' : 'OVERLOADED', message, {
      retriable: used > 0,
      details: {
        budget: 'in_flight_bytes',
        limit,
        used,
        actual: bytes,
        unit: 'bytes',
        ...(used > 0 && { retry_after_ms: RETRY_AFTER_MS }),
      },
    });
  }

  #usageOf(caller: Caller): Usage {
    let usage = this.#usage.get(caller.name);
    if (usage === undefined) {
      usage = { bytes: 0, tokens: burstOf(caller), since: this.#now() };
      this.#usage.set(caller.name, usage);
    }
    return usage;
  }
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
