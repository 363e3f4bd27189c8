import type { Failure, OutcomeStatus } from '../results.js';
import type { StreamFailure, StreamSummary } from './results.js';

/** The result of one operation, whose place is that in the list. */
export interface Result {
  readonly id: string | null;
  readonly status: OutcomeStatus;
  readonly error?: Failure;
}

type Counts = Pick<
  StreamSummary,
  | 'insertedCount'
  | 'updatedCount'
  | 'deletedCount'
  | 'skippedCount'
  | 'unchangedCount'
  | 'failedCount'
>;

/** Counts the outcomes of a stream, and keeps its first failures by offset. */
export class Tally {
  readonly counts: Counts = {
    insertedCount: 0,
    updatedCount: 0,
    deletedCount: 0,
    skippedCount: 0,
    unchangedCount: 0,
    failedCount: 0,
  };
  readonly failures: StreamFailure[] = [];
  /** The first failure that is no other's, whether or not it is kept. */
  first: StreamFailure | undefined;
  readonly #kept: number;

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** Failures that are counted, but not among those kept. */
  get droppedCount(): number {
    return this.counts.failedCount - this.failures.length;
  }

  /** Operations that did not fail. */
  get succeededCount(): number {
    const { failedCount, ...others } = this.counts;
    return Object.values(others).reduce((sum, count) => sum + count, 0);
  }

  /** Adds counts of operations that did not fail. */
  add(counts: Partial<Counts>): void {
    for (const [name, count] of Object.entries(counts)) {
      this.counts[name as keyof Counts] += count;
    }
  }

  /** Adds a failure. Chunks end in the order of the stream, so the first ones are kept. */
  fail(failure: StreamFailure): void {
    this.counts.failedCount += 1;
    if (failure.error.errorCode !== 'BATCH_ABORTED') this.first ??= failure;
    if (this.failures.length < this.#kept) this.failures.push(failure);
  }

  /** What did not fail has failed after all: the stream was atomic. */
  abortAll(): void {
    const { counts } = this;
    const failedCount = counts.failedCount + this.succeededCount;
    for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] = 0;
    counts.failedCount = failedCount;
  }
}
