import type { Reply } from './door.js';

/** What JSON holds of a query's matches: how many there are, or what else there is of each. */
interface PackedQuery {
  results: number | object[];
  /** Numbers of each match's vector. */
  data_length?: number;
}

/** A match with what stands in the columns. */
interface UnpackedMatch {
  id: string;
  score: number;
  data?: Float32Array;
}

/**
 * Puts the matches of a packed reply where JSON would have them, their vectors as `Float32Array`.
 *
 * @param packed How many matches and how many numbers there are (uint32 each), the scores
 *   (float64), the numbers of the vectors (float32), the lengths of the ids (uint16), the ids
 *   (UTF-8); all little endian.
 */
export function unpackMatches(reply: Reply, packed: Uint8Array): void {
  // A copy, so that its numbers are where typed arrays want them.
  const buffer = packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.byteLength);
  const [matchCount = 0, numberCount = 0] = new Uint32Array(buffer, 0, 2);
  const scores = new Float64Array(buffer, 8, matchCount);
  const numbers = new Float32Array(buffer, 8 + scores.byteLength, numberCount);
  const lengths = new Uint16Array(buffer, numbers.byteOffset + numbers.byteLength, matchCount);
  const ids = Buffer.from(buffer, lengths.byteOffset + lengths.byteLength).toString('utf8');
  let [match, idAt, numberAt] = [0, 0, 0];
  for (const query of reply.batch_results as PackedQuery[]) {
    const { results, data_length } = query;
    const [count, described] = typeof results === 'number' ? [results] : [results.length, results];
    const found: UnpackedMatch[] = [];
    for (let place = 0; place < count; place++) {
      const length = lengths[match] as number;
      const unpacked: UnpackedMatch = {
        id: ids.substring(idAt, idAt + length),
        score: scores[match] as number,
      };
      if (data_length !== undefined) {
        unpacked.data = numbers.slice(numberAt, numberAt + data_length);
        numberAt += data_length;
      }
      found.push(described === undefined ? unpacked : Object.assign(unpacked, described[place]));
      idAt += length;
      match += 1;
    }
    query.results = found;
    delete query.data_length;
  }
}
