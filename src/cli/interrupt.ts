import type { Terminal } from './terminal.js';

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
  readonly #terminal: Pick<Terminal, 'notice'>;
  readonly #listener = () => {
    if (this.#controller.signal.aborted) this.#source.exit(EXIT_INTERRUPTED);
    this.#terminal.notice(
      '',
      'Stopping when what is in flight is done; Ctrl-C again ends at once.',
    );
    this.#controller.abort();
  };

  constructor(terminal: Pick<Terminal, 'notice'>, source: SignalSource = process) {
    this.#terminal = terminal;
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
