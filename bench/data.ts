import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Vectors to insert and to ask for, and the exact answers. */
export interface Dataset {
  readonly name: string;
  readonly dimension: number;
  readonly count: number;
  /** `count` rows end to end. */
  readonly base: Float32Array;
  readonly queryCount: number;
  /** `queryCount` rows end to end. */
  readonly queries: Float32Array;
  /** The ten nearest rows of each query by cosine, nearest first. */
  readonly nearest: Int32Array;
}

/** Matches per query in every recall figure. */
export const K = 10;

/** How real embeddings arrive: `file` order keeps neighbors together. */
export type Arrival = 'shuffled' | 'file';

/**
 * The real embeddings of the folder in `VOLLEY_BENCH_DATA` (`passages.f16.npy`,
 * `queries.f16.npy`, `neighbors.i32.npy`), or `undefined` where there are none. With `most`, only
 * so many of the rows, the first to arrive.
 */
export function realDataset(
  arrival: Arrival = 'shuffled',
  most = Number.POSITIVE_INFINITY,
): Dataset | undefined {
  const folder = process.env.VOLLEY_BENCH_DATA;
  if (folder === undefined || !existsSync(join(folder, 'passages.f16.npy'))) return undefined;
  const passages = readNpy(join(folder, 'passages.f16.npy'));
  const queries = readNpy(join(folder, 'queries.f16.npy'));
  const neighbors = readNpy(join(folder, 'neighbors.i32.npy'));
  const { rows, columns } = passages;
  const order =
    arrival === 'shuffled'
      ? shuffledOrder(rows, 7)
      : Int32Array.from({ length: rows }, (_, k) => k);
  const placeOf = new Int32Array(rows);
  const base = new Float32Array(rows * columns);
  for (let place = 0; place < rows; place++) {
    const from = order[place] as number;
    placeOf[from] = place;
    base.set(passages.values.subarray(from * columns, (from + 1) * columns), place * columns);
  }
  const nearest = new Int32Array(queries.rows * K);
  for (let query = 0; query < queries.rows; query++) {
    for (let rank = 0; rank < K; rank++) {
      const row = neighbors.values[query * neighbors.columns + rank] as number;
      nearest[query * K + rank] = placeOf[row] as number;
    }
  }
  const whole: Dataset = {
    name: `real text embeddings${arrival === 'file' ? ', in the order of the file' : ''}`,
    dimension: columns,
    count: rows,
    base,
    queryCount: queries.rows,
    queries: Float32Array.from(queries.values),
    nearest,
  };
  return most < rows ? firstRows(whole, most) : whole;
}

/** A dataset without the rows from `count` on. */
function firstRows(data: Dataset, count: number): Dataset {
  const base = data.base.slice(0, count * data.dimension);
  const nearest = exactNearest(base, data.queries, data.dimension);
  return { ...data, count, base, nearest };
}

/** Independent directions in which generated vectors vary. */
const LATENT = 96;
/** How much narrower each direction is than the one before, by the width of the first. */
const NARROWING = 0.03;
const CENTRES = 2000;

/**
 * Generated vectors with the structure of text embeddings: clusters of uneven size in a space of
 * few dimensions, the first of them the widest, bent into the space of many; the same numbers on
 * every machine. They are as hard to search as real ones: of 25,000 rows at 384 dimensions,
 * hnswlib with a beam of 10, 32, 64 and 128 finds .832, .940, .977 and .995 of the nearest, and
 * of as many real ones .833, .946, .981 and .995.
 */
export function generatedDataset(count: number, dimension: number, queryCount: number): Dataset {
  const random = new Random(dimension);
  const centres = Array.from({ length: CENTRES }, () => random.gaussians(LATENT));
  const directions = Array.from({ length: LATENT }, (_, place) => {
    const width = (1.5 * Math.sqrt(dimension)) / (1 + NARROWING * place);
    return random.gaussians(dimension).map((value) => value * width);
  });
  const base = new Float32Array(count * dimension);
  const queries = new Float32Array(queryCount * dimension);
  for (let row = 0; row < count + queryCount; row++) {
    const target = row < count ? base : queries;
    const at = (row < count ? row : row - count) * dimension;
    const centre = centres[Math.floor(random.next() * random.next() * CENTRES)] as Float32Array;
    const latent = random.gaussians(LATENT);
    const bent = target.subarray(at, at + dimension);
    for (let place = 0; place < LATENT; place++) {
      const value = (centre[place] as number) + (latent[place] as number);
      const direction = directions[place] as Float32Array;
      for (let k = 0; k < dimension; k++) {
        bent[k] = (bent[k] as number) + value * (direction[k] as number);
      }
    }
    for (let k = 0; k < dimension; k++) bent[k] = Math.tanh(bent[k] as number);
    normalise(bent);
  }
  const nearest = exactNearest(base, queries, dimension);
  const name = 'generated clusters';
  return { name, dimension, count, base, queryCount, queries, nearest };
}

/** The ten nearest rows of each query by dot product, by comparing with all. */
export function exactNearest(
  base: Float32Array,
  queries: Float32Array,
  dimension: number,
): Int32Array {
  const queryCount = queries.length / dimension;
  const nearest = new Int32Array(queryCount * K);
  const scores = new Float64Array(queryCount * K).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < base.length / dimension; row++) {
    const vector = base.subarray(row * dimension, (row + 1) * dimension);
    for (let query = 0; query < queryCount; query++) {
      const score = dot(vector, queries, query * dimension);
      const from = query * K;
      if (score <= (scores[from + K - 1] as number)) continue;
      let place = from + K - 1;
      while (place > from && (scores[place - 1] as number) < score) {
        scores[place] = scores[place - 1] as number;
        nearest[place] = nearest[place - 1] as number;
        place--;
      }
      scores[place] = score;
      nearest[place] = row;
    }
  }
  return nearest;
}

function dot(vector: Float32Array, queries: Float32Array, at: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const length = vector.length - (vector.length % 4);
  for (let k = 0; k < length; k += 4) {
    a += (vector[k] as number) * (queries[at + k] as number);
    b += (vector[k + 1] as number) * (queries[at + k + 1] as number);
    c += (vector[k + 2] as number) * (queries[at + k + 2] as number);
    d += (vector[k + 3] as number) * (queries[at + k + 3] as number);
  }
  for (let k = length; k < vector.length; k++) {
    a += (vector[k] as number) * (queries[at + k] as number);
  }
  return a + b + (c + d);
}

function normalise(vector: Float32Array): void {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const factor = 1 / Math.sqrt(sum);
  for (let k = 0; k < vector.length; k++) vector[k] = (vector[k] as number) * factor;
}

/** A small seeded source (mulberry32), so that every run sees the same vectors. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Independent normal numbers (Box and Muller 1958), of length about 1 together. */
  gaussians(count: number): Float32Array {
    const values = new Float32Array(count);
    const scale = 1 / Math.sqrt(count);
    for (let k = 0; k < count; k += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - this.next())) * scale;
      const angle = 2 * Math.PI * this.next();
      values[k] = radius * Math.cos(angle);
      if (k + 1 < count) values[k + 1] = radius * Math.sin(angle);
    }
    return values;
  }
}

function shuffledOrder(count: number, seed: number): Int32Array {
  const random = new Random(seed);
  const order = Int32Array.from({ length: count }, (_, place) => place);
  for (let place = count - 1; place > 0; place--) {
    const other = random.below(place + 1);
    const held = order[place] as number;
    order[place] = order[other] as number;
    order[other] = held;
  }
  return order;
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array | Int32Array;
}

/** Reads a two-dimensional NumPy file of float16, float32 or int32, little-endian, C order. */
function readNpy(path: string): Matrix {
  const file = readFileSync(path);
  const headerLength = file.readUInt16LE(8);
  const header = file.toString('latin1', 10, 10 + headerLength);
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  const type = /'descr': '<(\w\d)'/.exec(header)?.[1];
  if (shape === null || header.includes("'fortran_order': True")) {
    throw new Error(`${path}: not a two-dimensional array in C order`);
  }
  const [rows, columns] = [Number(shape[1]), Number(shape[2])];
  const body = file.buffer.slice(
    file.byteOffset + 10 + headerLength,
    file.byteOffset + file.byteLength,
  );
  if (type === 'f4') return { rows, columns, values: new Float32Array(body) };
  if (type === 'i4') return { rows, columns, values: new Int32Array(body) };
  if (type !== 'f2') throw new Error(`${path}: type ${type} is not read here`);
  const halves = new Uint16Array(body);
  const table = halfTable();
  const values = new Float32Array(halves.length);
  for (let k = 0; k < halves.length; k++) values[k] = table[halves[k] as number] as number;
  return { rows, columns, values };
}

/** All 65,536 values of IEEE 754 binary16. */
function halfTable(): Float32Array {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) table[bits] = (sign * fraction) / 2 ** 24;
    else if (exponent === 31) table[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else table[bits] = sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
  }
  return table;
}
