import { VolleyError } from '../errors.js';

/** How much goes into one chunk. */
export interface GatheringLimits {
  /** Operations, at most; only a group alone may be more. */
  readonly count: number;
  /** Bytes, at most; only an operation alone may be more. */
  readonly bytes: number;
}

/** Operations of a chunk, and their bytes. */
export interface Gathered<Item> {
  readonly items: readonly Item[];
  readonly bytes: number;
}

/**
 * Operations on their way into chunks. Those of a group that follow one another stay together,
 * since a group is whole within one batch only.
 */
export class Gathering<Item> {
  #items: Item[] = [];
  #bytes = 0;
  /** The group of the last operation, which the next one may go on with. */
  #group: string | undefined;
  /** What stands before that group, or before the last operation where it has none. */
  #before = { count: 0, bytes: 0 };
  /** All groups here; a name that comes again is another group, for which there must be a cut. */
  #groups = new Set<string>();
  #isAgain = false;

  add(item: Item, bytes: number, group: string | undefined): void {
    if (group === undefined || group !== this.#group) {
      this.#before = { count: this.#items.length, bytes: this.#bytes };
      this.#group = group;
      if (group !== undefined) {
        this.#isAgain = this.#groups.has(group);
        this.#groups.add(group);
      }
    }
    this.#items.push(item);
    this.#bytes += bytes;
  }

  /** The operations of the next chunk, where there are enough for one. */
  take(limits: GatheringLimits): Gathered<Item> | undefined {
    if (this.#isAgain) return this.#cut();
    const { count } = this.#before;
    const isOver = this.#bytes > limits.bytes;
    const isFull = isOver || this.#items.length >= limits.count;
    if (!isFull) return undefined;
    const fits = count === 0 || (!isOver && count < limits.count);
    if (this.#group === undefined && fits) return this.takeAll();
    return count > 0 ? this.#cut() : undefined;
  }

  /**
   * Looks whether what is left by {@link take} can become a chunk.
   *
   * @throws VolleyError `BATCH_TOO_LARGE` for a group that is over the limit of bytes.
   */
  check(limits: GatheringLimits): void {
    const [group, bytes] = [this.#group, this.#bytes - this.#before.bytes];
    const isAlone = this.#items.length - this.#before.count === 1;
    const isOver = group !== undefined && !isAlone && bytes > limits.bytes;
    if (!isOver) return;
    const actual = Math.ceil(bytes);
    const limit = Math.floor(limits.bytes);
    const message =
      `group ${JSON.stringify(group)} is ${actual} bytes or more, ` +
      `the limit is ${limit} bytes, which one chunk of a stream may have`;
    throw new VolleyError('BATCH_TOO_LARGE', message, {
      details: { field: 'group', group, limit, actual, unit: 'bytes' },
    });
  }

  /** All but a group that may go on. */
  takeWhole(): Gathered<Item> {
    return this.#group === undefined ? this.takeAll() : this.#cut();
  }

  /** All there is. */
  takeAll(): Gathered<Item> {
    const all = { items: this.#items, bytes: this.#bytes };
    this.#items = [];
    this.#bytes = 0;
    this.#group = undefined;
    this.#begin();
    return all;
  }

  #cut(): Gathered<Item> {
    const { count, bytes } = this.#before;
    const items = this.#items.slice(0, count);
    this.#items = this.#items.slice(count);
    this.#bytes -= bytes;
    this.#begin();
    return { items, bytes };
  }

  /** What there is now stands at the beginning of a chunk. */
  #begin(): void {
    this.#before = { count: 0, bytes: 0 };
    this.#groups = new Set(this.#group === undefined ? [] : [this.#group]);
    this.#isAgain = false;
  }
}
