import Benchmark from 'benchmark';
import { encodeQueries, encodeVectors } from '../src/encode.js';
import { jsonFault } from '../src/json.js';
import { amount, line, print } from './report.js';
import { attributes, idOf } from './work.js';

const ROWS = 1000;
const DIMENSION = 768;
const QUERIES = 100;

/** The parts of a call that run on JavaScript's thread, each by itself. */
export function measureParts(): void {
  print(
    `\nparts on JavaScript's thread: ${ROWS} rows or ${QUERIES} queries of ${DIMENSION} numbers`,
  );
  const suite = new Benchmark.Suite();
  const made = new Map<string, string>();
  for (const [name, part] of Object.entries(parts())) {
    made.set(name, amount(part()));
    suite.add(name, part);
  }
  suite.on('cycle', ({ target }: { target: Benchmark }) => {
    const { name = '', stats } = target;
    const spread = `within ${stats.rme.toFixed(1)} %, ${stats.sample.length} samples`;
    line(name, `${(stats.mean * 1000).toFixed(3)} ms`, `${made.get(name)} made; ${spread}`);
  });
  suite.run();
}

/** Each returns how many bytes or rows it made, so that none of them is work without a result. */
function parts(): Record<string, () => number> {
  const numbers = Float32Array.from({ length: ROWS * DIMENSION }, (_, place) => Math.sin(place));
  const ids = Array.from({ length: ROWS }, (_, row) => idOf(row));
  const metadata = ids.map((_, row) => attributes(row));
  const rows = ids.map((id, row) => ({
    id,
    data: numbers.subarray(row * DIMENSION, (row + 1) * DIMENSION),
    metadata: metadata[row],
  }));
  const queryVectors = numbers.subarray(0, QUERIES * DIMENSION);
  const sent = (header: object) => Buffer.from(JSON.stringify(header)).length;
  return {
    'a batch of columns': () => sent(encodeVectors('insert', { ids, data: numbers }).header),
    'a batch of columns with metadata': () =>
      sent(encodeVectors('insert', { ids, data: numbers, metadata }).header),
    'a batch of rows with metadata': () => sent(encodeVectors('insert', rows).header),
    'looking for what JSON cannot hold': () =>
      metadata.filter((object) => jsonFault(object) === undefined).length,
    'a batch of queries': () => sent(encodeQueries({ queryVectors }, DIMENSION).header),
  };
}
