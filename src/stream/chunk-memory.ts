import { cancelBatch } from '../cancel.js';
import type { Door } from '../native/door.js';

/** A chunk's largest size in bytes, where the memory budget is not smaller. */
const CHUNK_BYTES_MAX = 8 * 1024 * 1024;
/** A chunk is at most one part in so many of the budget, for each worker. */
const BUDGET_SHARE = 8;
const CHUNK_BYTES_MIN = 64 * 1024;

/** What chunks take of the engine's memory budget: reserved before a chunk is read. */
export class ChunkMemory {
  /** A chunk's largest size in bytes. */
  readonly bytesMax: number;
  readonly #door: Door;
  readonly #deletes: boolean;
  /** The call that asks for memory now. */
  #asking: string | undefined;
  /** The next chunk's reservation, asked for while the one before is encoded. */
  #ahead: Promise<number> | undefined;
  /** Bytes of a row, as measured at the last chunk. */
  #rowBytes = 0;

  constructor(door: Door, budgetBytes: number, parallelWorkers: number, deletes: boolean) {
    const share = budgetBytes / (BUDGET_SHARE * parallelWorkers);
    this.bytesMax = Math.max(CHUNK_BYTES_MIN, Math.min(CHUNK_BYTES_MAX, share));
    this.#door = door;
    this.#deletes = deletes;
  }

  /** The reservation for a chunk of so many operations, once there is room for it. */
  async reserve(count: number): Promise<number> {
    const reservation = await (this.#ahead ?? this.#ask(count));
    this.#ahead = undefined;
    return reservation;
  }

  /** Asks for what the next {@link reserve} will return. */
  reserveAhead(count: number): void {
    this.#ahead = this.#ask(count);
    // It is awaited in its turn; until then a refusal is nobody's.
    this.#ahead.catch(() => {});
  }

  /** Notes what a chunk took, by which the next one is judged. */
  learn(bytes: number, count: number): void {
    this.#rowBytes = bytes / count;
  }

  /** Gives a reservation back that no chunk has used. */
  async release(reservation: number): Promise<void> {
    // A store that closes has taken it back already.
    await this.#door.call('memory.release', { reservation }).catch(() => {});
  }

  /** Ends the wait for room. */
  async interrupt(): Promise<void> {
    if (this.#asking !== undefined) await cancelBatch(this.#door, this.#asking);
  }

  /** Gives back what was asked for ahead by a stream that reads no further. */
  async close(): Promise<void> {
    await this.interrupt().catch(() => {});
    try {
      const reservation = await this.#ahead;
      if (reservation !== undefined) await this.release(reservation);
    } catch {
      // It was refused: there is nothing to give back.
    }
  }

  async #ask(count: number): Promise<number> {
    const batchId = this.#door.newBatchId();
    this.#asking = batchId;
    try {
      const header = { bytes: this.#bytesOf(count), deletes: this.#deletes };
      const reply = await this.#door.call('memory.reserve', header, undefined, { batchId });
      return reply.reservation as number;
    } finally {
      this.#asking = undefined;
    }
  }

  /** What a chunk will take, as far as the last one tells. */
  #bytesOf(count: number): number {
    const whole = Math.min(this.#rowBytes * count, this.bytesMax);
    return Math.ceil(Math.max(whole, this.#rowBytes, CHUNK_BYTES_MIN));
  }
}
