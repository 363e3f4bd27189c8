import type { Door } from '../native/door.js';
import type { WireOptions } from '../options.js';
import type { Failure, MixedResult, OutcomeStatus } from '../results.js';
import type { Chunk } from './chunker.js';
import type { StreamFailure, StreamOutcome } from './results.js';

interface Run {
  readonly status: OutcomeStatus;
  count: number;
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
    for (const { status } of result.outcomes ?? []) this.#add(status, 1);
  }

  /** Notes a chunk that was refused. */
  refuse(chunk: Chunk): void {
    this.#add('failed', chunk.count);
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
  *outcomes(
    isCommitted: boolean,
    failures: readonly StreamFailure[],
  ): Generator<StreamOutcome[], void, undefined> {
    const own = new Map(failures.map((failure) => [failure.offset, failure]));
    let offset = 0;
    let piece: StreamOutcome[] = [];
    for (const { status, count } of this.#runs) {
      for (let index = 0; index < count; index++, offset++) {
        const failure = own.get(offset);
        piece.push(
          isCommitted
            ? { offset, id: null, status }
            : {
                offset,
                id: failure?.id ?? null,
                status: 'failed',
                error: failure?.error ?? ABORTED,
              },
        );
        if (piece.length === PIECE_COUNT) {
          yield piece;
          piece = [];
        }
      }
    }
    if (piece.length > 0) yield piece;
  }

  #add(status: OutcomeStatus, count: number): void {
    const last = this.#runs.at(-1);
    if (last?.status === status) last.count += count;
    else this.#runs.push({ status, count });
  }

  #header(): WireOptions {
    return { collection: this.#collection, stage: this.id };
  }
}

/** Outcomes that are handed to the reader at once. */
const PIECE_COUNT = 1000;
