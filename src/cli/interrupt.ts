/** Exit code of a command that Ctrl-C ended, as shells have it: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

/** The part of `process` that is needed; tests give their own. */
export interface SignalSource {
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(code: number): unknown;
}

/** A wish to stop: the signal aborts at the first Ctrl-C, the second one ends the process. */
export class Interrupt {
  readonly #controller = new AbortController();
  readonly #source: SignalSource;
  readonly #listener = () => {
    if (this.#controller.signal.aborted) this.#source.exit(EXIT_INTERRUPTED);
    this.#controller.abort();
  };

  constructor(source: SignalSource = process) {
    this.#source = source;
    source.on('SIGINT', this.#listener);
    source.on('SIGTERM', this.#listener);
  }

  /** Aborts at the first Ctrl-C. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Lets Ctrl-C end the process at once again. */
  dispose(): void {
    this.#source.off('SIGINT', this.#listener);
    this.#source.off('SIGTERM', this.#listener);
  }
}
