import type { StreamOutcome } from './results.js';

/** Outcomes on their way from a stream to the one who iterates it, if there is one. */
export class OutcomeQueue {
  readonly #chunks: StreamOutcome[][] = [];
  readonly #chunksMax: number;
  #current: StreamOutcome[] = [];
  #taken = 0;
  #iterated = false;
  #left = false;
  #ended = false;
  #isOpen = false;
  #error: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  /** Outcomes that nobody took. */
  unreadCount = 0;

  /** @param chunksMax Chunks that wait for the reader before the stream does. */
  constructor(chunksMax: number) {
    this.#chunksMax = chunksMax;
  }

  /** Whether somebody iterates, so that outcomes are worth listing. */
  get isRead(): boolean {
    return this.#iterated && !this.#left;
  }

  /** Adds a chunk's outcomes, or counts them where nobody reads. */
  push(outcomes: StreamOutcome[], count: number): void {
    if (!this.isRead || outcomes.length === 0) {
      this.unreadCount += count;
      return;
    }
    this.#chunks.push(outcomes);
    this.#wakeReader?.();
  }

  /** Resolves once the reader has made room, or there is none. */
  async room(): Promise<void> {
    while (this.isRead && !this.#isOpen && this.#chunks.length >= this.#chunksMax) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  /** Waits for the reader no longer: the stream ends, and only a few outcomes are left. */
  release(): void {
    this.#isOpen = true;
    this.#wakeWriter?.();
  }

  /** Nothing more comes; a reader then meets the error, if there is one. */
  end(error?: unknown): void {
    this.#ended = true;
    this.#error = error;
    this.#wakeReader?.();
  }

  /** The reader's side; `leave` is called where it stops before the end. */
  read(leave: () => Promise<unknown>): AsyncIterator<StreamOutcome, void, undefined> {
    this.#iterated = true;
    const stop = async () => {
      const wasReading = this.isRead && !this.#ended;
      this.#left = true;
      for (const chunk of this.#chunks.splice(0)) this.unreadCount += chunk.length;
      this.unreadCount += this.#current.length - this.#taken;
      this.#current = [];
      this.#taken = 0;
      this.#wakeWriter?.();
      this.#wakeReader?.();
      if (wasReading) await leave();
    };
    return {
      next: () => this.#next(),
      return: async () => {
        await stop();
        return { done: true, value: undefined };
      },
      throw: async (error: unknown) => {
        await stop();
        throw error;
      },
    };
  }

  async #next(): Promise<IteratorResult<StreamOutcome, void>> {
    for (;;) {
      const outcome = this.#current[this.#taken];
      if (outcome !== undefined) {
        this.#taken += 1;
        return { done: false, value: outcome };
      }
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        [this.#current, this.#taken] = [chunk, 0];
        this.#wakeWriter?.();
      } else if (this.#ended || this.#left) {
        const error = this.#error;
        this.#error = undefined;
        if (error !== undefined && !this.#left) throw error;
        return { done: true, value: undefined };
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }
}
