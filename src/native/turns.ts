/**
 * Lets one caller go on in each turn of the event loop, in the order in which they came.
 *
 * Batches that share a sync are acknowledged together. Whoever was waiting for them often encodes
 * the next batch at once, and many of those in one turn would hold up all else in the process.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Resolves when it is the caller's turn: at once, where nobody else had this one. */
  next(): Promise<void> {
    if (this.#isTaken) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
    setImmediate(this.#pass);
    return Promise.resolve();
  }

  readonly #pass = (): void => {
    const first = this.#waiting.shift();
    if (first === undefined) {
      this.#isTaken = false;
      return;
    }
    setImmediate(this.#pass);
    first();
  };
}
