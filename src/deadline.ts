/** The longest time that a timer of Node can have. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** The time that something may take as a whole. */
export class Deadline {
  readonly #at: number;
  readonly #timer: NodeJS.Timeout;

  /** Calls `late` when so many milliseconds have passed from now on. */
  constructor(deadlineMs: number, late: () => void) {
    this.#at = performance.now() + deadlineMs;
    this.#timer = setTimeout(late, Math.min(deadlineMs, TIMER_MS_MAX));
  }

  /** Milliseconds that are left, 0 or more. */
  get leftMs(): number {
    return Math.max(this.#at - performance.now(), 0);
  }

  /** It is no longer of interest. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
