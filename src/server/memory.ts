import { VolleyError } from '../errors.js';
import type { Engine } from './engine.js';
import type { Pass } from './gate.js';

/** Bytes that are reserved at once, at least, while a body arrives. */
const STEP_BYTES = 1024 * 1024;

/**
 * What one request holds of the engine's memory budget while its body arrives. It grows with what
 * has come, not with what was announced: who announces much and sends nothing keeps nobody out.
 */
export class RequestMemory {
  readonly #engine: Engine;
  readonly #pass: Pass;
  readonly #deletes: boolean;
  #reservations: number[] = [];
  #bytes = 0;

  constructor(engine: Engine, pass: Pass, verb: string) {
    this.#engine = engine;
    this.#pass = pass;
    this.#deletes = verb === 'delete';
  }

  /**
   * Reserves until so many bytes of the body have room.
   *
   * @param expected Bytes that the whole body will have, where that is known.
   * @throws VolleyError `OVERLOADED`, `MEMORY_LIMIT_EXCEEDED`.
   */
  async grow(bytes: number, expected = Number.POSITIVE_INFINITY): Promise<void> {
    const missing = bytes - this.#bytes;
    if (missing <= 0) return;
    const step = Math.max(missing, Math.min(STEP_BYTES, expected - this.#bytes));
    this.#pass.take(step);
    try {
      this.#reservations.push(await this.#engine.reserve(step, { deletes: this.#deletes }));
    } catch (failure) {
      throw this.#judged(failure, step);
    }
    this.#bytes += step;
  }

  /**
   * What the request's call is told: it uses up one reservation, counts all of its body with it,
   * and leaves the others to be given back.
   */
  get context(): { reservation?: number } {
    const [reservation] = this.#reservations;
    return reservation === undefined ? {} : { reservation };
  }

  /** The call was made. */
  spend(): void {
    this.#reservations.shift();
  }

  /** Gives back what no call has used up. */
  async release(): Promise<void> {
    const reservations = this.#reservations;
    this.#reservations = [];
    await Promise.all(reservations.map((number) => this.#engine.release(number)));
  }

  /** A body that would not fit if it were alone is no matter of waiting. */
  #judged(failure: unknown, step: number): unknown {
    if (!(failure instanceof VolleyError) || failure.code !== 'OVERLOADED') return failure;
    const limit = Number(failure.details.limit);
    // The engine counts a request's bytes more than once.
    const needed = (Number(failure.details.actual) / step) * (this.#bytes + step);
    if (!(needed > limit)) return failure;
    const message = `the request needs ${needed} bytes of memory or more, the limit is ${limit}`;
    return new VolleyError('MEMORY_LIMIT_EXCEEDED', message, {
      details: { budget: 'memory', limit, actual: needed, unit: 'bytes' },
    });
  }
}
