import { Deadline } from '../deadline.js';
import { VolleyError } from '../errors.js';

/** The least time that is told as left, in milliseconds: a server takes no 0. */
const LEFT_MS_MIN = 0.001;

/** A call over all its tries: its one deadline, and whether it is to end before its answer. */
export class RunningCall {
  readonly #stopping = new AbortController();
  readonly #closing: AbortSignal;
  readonly #deadline: Deadline | undefined;
  #hasEnded = false;
  #tellEnd = () => {};
  /** Settled with the call's answer. */
  readonly ended = new Promise<void>((resolve) => {
    this.#tellEnd = resolve;
  });

  constructor(closing: AbortSignal, deadlineMs: number | undefined) {
    this.#closing = closing;
    closing.addEventListener('abort', this.#close, { once: true });
    if (closing.aborted) this.#close();
    if (deadlineMs === undefined) return;
    this.#deadline = new Deadline(deadlineMs, () => this.stop(deadlineExceeded(deadlineMs)));
  }

  /** Aborted with a `VolleyError` when nothing more is to be tried. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Milliseconds until the deadline, more than 0; `undefined` where there is none. */
  get leftMs(): number | undefined {
    if (this.#deadline === undefined) return undefined;
    return Math.max(this.#deadline.leftMs, LEFT_MS_MIN);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Nothing more is tried; what is at the server ends there. */
  stop(reason: VolleyError): void {
    this.#stopping.abort(reason);
  }

  /** The call has its answer. */
  end(): void {
    this.#hasEnded = true;
    this.#tellEnd();
    this.#closing.removeEventListener('abort', this.#close);
    this.#deadline?.end();
  }

  readonly #close = () => this.stop(this.#closing.reason as VolleyError);
}

function deadlineExceeded(deadlineMs: number): VolleyError {
  const message = `the deadline of ${deadlineMs} ms passed before the server took the call`;
  return new VolleyError('DEADLINE_EXCEEDED', message, {
    retriable: true,
    details: { deadlineMs },
  });
}
