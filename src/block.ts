import { isFloat32Array, isSharedArrayBuffer } from 'node:util/types';
import { VolleyError } from './errors.js';

/** The vectors of one request, gathered end to end. */
export class BlockBuilder {
  #values: Float32Array;
  #used = 0;
  readonly #lengths: number[] = [];

  /** @param capacity Numbers expected; more make the block grow. */
  constructor(capacity: number) {
    this.#values = allocate(capacity);
  }

  /**
   * Adds the next operation's vector, or that it has none.
   *
   * @returns Why the vector was not taken, as the end of a sentence; it then counts as none.
   */
  add(vector: unknown): string | undefined {
    const fault = vector === undefined ? undefined : this.#append(vector);
    if (vector === undefined || fault !== undefined) this.#lengths.push(-1);
    return fault;
  }

  /** Numbers and, where they cannot be cut evenly over the operations, each one's count. */
  finish(): { block?: Float32Array; lengths?: number[] } {
    const lengths = this.#lengths;
    const first = lengths[0] ?? -1;
    if (lengths.every((length) => length === -1)) return {};
    const block = this.#values.subarray(0, this.#used);
    const even = first > 0 && lengths.every((length) => length === first);
    return even ? { block } : { block, lengths };
  }

  #append(vector: unknown): string | undefined {
    if (isFloat32Array(vector)) {
      if (isSharedArrayBuffer(vector.buffer)) return SHARED;
      this.#reserve(vector.length);
      // A detached array has no length, and copying from it throws.
      if (vector.length > 0) this.#values.set(vector, this.#used);
      this.#accept(vector.length);
      return undefined;
    }
    if (!Array.isArray(vector)) return `is ${nameOf(vector)}, not a Float32Array or number[]`;
    return this.#appendArray(vector);
  }

  #appendArray(vector: readonly unknown[]): string | undefined {
    const { length } = vector;
    this.#reserve(length);
    for (let index = 0; index < length; index++) {
      const value = vector[index];
      if (typeof value !== 'number') return `has ${nameOf(value)} at ${index}, not a number`;
      this.#values[this.#used + index] = value;
    }
    this.#accept(length);
    return undefined;
  }

  #accept(length: number): void {
    this.#lengths.push(length);
    this.#used += length;
  }

  #reserve(length: number): void {
    const needed = this.#used + length;
    if (needed <= this.#values.length) return;
    const grown = allocate(Math.max(needed, this.#values.length * 2));
    grown.set(this.#values.subarray(0, this.#used));
    this.#values = grown;
  }
}

function allocate(count: number): Float32Array {
  try {
    return new Float32Array(count);
  } catch (cause) {
    throw new VolleyError('MEMORY_LIMIT_EXCEEDED', `no memory for ${count} numbers`, {
      details: { actual: count, unit: 'numbers' },
      cause,
    });
  }
}

const SHARED = 'is backed by a SharedArrayBuffer, which may change meanwhile: copy it first';

/** Why a caller's block cannot be taken, as the end of a sentence. */
export function blockFault(block: unknown): string | undefined {
  if (!isFloat32Array(block)) return `is ${nameOf(block)}, not a Float32Array`;
  return isSharedArrayBuffer(block.buffer) ? SHARED : undefined;
}

/** A value's kind, for messages: `a string`, `an Array`, `null`. */
export function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  const name = typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;
  return /^[aeiou]/i.test(name) ? `an ${name}` : `a ${name}`;
}
