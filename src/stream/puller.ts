import { nameOf } from '../block.js';
import { VolleyError } from '../errors.js';

/** What a pull comes to. */
export type Pulled = { readonly done: true } | { readonly done: false; readonly value: unknown };

/** The end of a source, or of the wish to read on. */
export const END: Pulled = { done: true };

/** Takes items from a source one by one, and lets go of it in whatever way it ends. */
export class Puller {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #isAsync: boolean;
  #interrupt: (() => void) | undefined;
  #interrupted = false;
  #isAtEnd = false;
  #ended = false;

  /** @throws VolleyError `INVALID_ARGUMENT` where the source cannot be iterated. */
  constructor(call: string, source: unknown) {
    const candidate = (typeof source === 'object' && source !== null ? source : {}) as {
      [Symbol.asyncIterator]?: () => AsyncIterator<unknown>;
      [Symbol.iterator]?: () => Iterator<unknown>;
    };
    this.#isAsync = typeof candidate[Symbol.asyncIterator] === 'function';
    const iterator = candidate[Symbol.asyncIterator]?.() ?? candidate[Symbol.iterator]?.();
    if (iterator === undefined) {
      const message = `${call}: the source is ${nameOf(source)}, which cannot be iterated`;
      throw new VolleyError('INVALID_ARGUMENT', message, { details: { field: 'source' } });
    }
    this.#iterator = iterator;
  }

  /** Whether items come at once, without a wait. */
  get isAsync(): boolean {
    return this.#isAsync;
  }

  /** Whether the source itself has said that nothing more comes. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** The next item of a source that gives it at once. */
  pullNow(): Pulled {
    if (this.#interrupted || this.#ended) return END;
    return this.#take(this.#iterator.next() as IteratorResult<unknown>);
  }

  /** The next item; an interruption ends the wait for it. */
  async pull(): Promise<Pulled> {
    if (this.#interrupted || this.#ended) return END;
    // No race: a promise that stays pending would keep every reaction of a long stream.
    const next = await new Promise<IteratorResult<unknown> | undefined>((resolve, reject) => {
      this.#interrupt = () => resolve(undefined);
      Promise.resolve(this.#iterator.next()).then(resolve, (error) => {
        this.#ended = true;
        reject(error);
      });
    });
    this.#interrupt = undefined;
    return next === undefined ? END : this.#take(next);
  }

  /** Ends the wait for an item and every later one. */
  interrupt(): void {
    this.#interrupted = true;
    this.#interrupt?.();
  }

  /** Tells the source that nothing more is wanted of it. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const returned = this.#iterator.return?.();
    // A generator that hangs in its own wait answers never: it is told, not waited for.
    if (this.#interrupted) Promise.resolve(returned).catch(() => {});
    else await returned;
  }

  #take(next: IteratorResult<unknown>): Pulled {
    if (next.done !== true) return { done: false, value: next.value };
    this.#ended = true;
    this.#isAtEnd = true;
    return END;
  }
}
