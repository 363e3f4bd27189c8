import type { InsertRow } from '../src/index.js';
import { generatedDataset } from './data.js';

/** Rows without end, each made when it is asked for: two of a few generated vectors, mixed. */
export class MixedRows {
  readonly dimension: number;
  readonly #base: Float32Array;
  readonly #count: number;

  /** Mixes `count` generated vectors. */
  constructor(count: number, dimension: number) {
    this.dimension = dimension;
    this.#count = count;
    this.#base = generatedDataset(count, dimension, 0).base;
  }

  /** Row `n`, the same each time. */
  row(n: number): InsertRow {
    const { dimension } = this;
    const first = n % this.#count;
    const second = (n * 7919 + Math.floor(n / this.#count) * 31) % this.#count;
    const [from, other] = [first * dimension, second * dimension];
    const data = new Float32Array(dimension);
    for (let k = 0; k < dimension; k++) {
      data[k] = (this.#base[from + k] as number) + 0.4 * (this.#base[other + k] as number);
    }
    return { id: `row-${n}`, data };
  }

  /** `count` rows, from row `from` on. */
  *rows(count: number, from = 0): Generator<InsertRow> {
    for (let n = from; n < from + count; n++) yield this.row(n);
  }
}
