import type { Door } from '../native/door.js';
import type { WireOptions } from '../options.js';
import type { Failure, MixedResult, OutcomeStatus } from '../results.js';
import type { StreamOutcome } from './results.js';

interface Run {
  readonly status: OutcomeStatus;
  count: number;
  /** Of one operation that failed by itself. */
  readonly failure?: Pick<StreamOutcome, 'id' | 'error'>;
}

/** The error of an operation without a fault of its own, whose atomic stream failed. */
const ABORTED: Failure = {
  errorCode: 'BATCH_ABORTED',
  errorMessage: 'not applied: the atomic stream was not committed',
  retriable: false,
};

/** What of an atomic stream lies in the engine's log, unseen, and what would become of it. */
export class Stage {
  readonly id: number;
  isCommitted = false;
  readonly #door: Door;
  readonly #collection: string;
  /** Outcomes in the order of the stream; operations that end alike take the place of one. */
  readonly #runs: Run[] = [];

  private constructor(door: Door, collection: string, id: number) {
    this.#door = door;
    this.#collection = collection;
    this.id = id;
  }

  /** Begins a stage. */
  static async begin(door: Door, collection: string): Promise<Stage> {
    const reply = await door.call('stage.begin', { collection });
    return new Stage(door, collection, reply.stage as number);
  }

  /** Notes the outcomes of a chunk. */
  note(result: MixedResult): void {
    for (const { index: _, id, status, ...error } of result.outcomes ?? []) {
      if (status === 'failed') this.#fail({ id, error: error as unknown as Failure });
      else this.#add(status);
    }
  }

  /** Notes a chunk that was refused. */
  refuse(outcomes: readonly StreamOutcome[]): void {
    for (const outcome of outcomes) this.#fail(outcome);
  }

  /** Commits the whole stream; returns the commit's number. */
  async commit(): Promise<number> {
    const reply = await this.#door.call('stage.commit', this.#header());
    this.isCommitted = true;
    return reply.sequence as number;
  }

  /** Gives the stream up: nothing of it is ever seen. */
  async drop(): Promise<void> {
    // A store that closes has dropped it already.
    await this.#door.call('stage.drop', this.#header()).catch(() => {});
  }

  /** The outcomes, final now, piece by piece. */
  *outcomes(isCommitted: boolean): Generator<StreamOutcome[], void, undefined> {
    let offset = 0;
    let piece: StreamOutcome[] = [];
    for (const { status, count, failure } of this.#runs) {
      for (let index = 0; index < count; index++, offset++) {
        const { id = null, error = ABORTED } = failure ?? {};
        piece.push(isCommitted ? { offset, id, status } : { offset, id, status: 'failed', error });
        if (piece.length === PIECE_COUNT) {
          yield piece;
          piece = [];
        }
      }
    }
    if (piece.length > 0) yield piece;
  }

  #add(status: OutcomeStatus): void {
    const last = this.#runs.at(-1);
    if (last?.status === status) last.count += 1;
    else this.#runs.push({ status, count: 1 });
  }

  #fail({ id, error }: Pick<StreamOutcome, 'id' | 'error'>): void {
    this.#runs.push({ status: 'failed', count: 1, failure: { id, ...(error && { error }) } });
  }

  #header(): WireOptions {
    return { collection: this.#collection, stage: this.id };
  }
}

/** Outcomes that are handed to the reader at once. */
const PIECE_COUNT = 1000;
