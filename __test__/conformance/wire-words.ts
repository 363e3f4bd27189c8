import type { OperationError, SearchResult, VectorRecord } from '../../src/index.js';

type Names = Record<string, unknown>;

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** An object with the names of the wire; values stay, absent ones are left out. */
export function toWire(object: object): Names {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [snake(name), value]));
}

/** An object with the names of the API; values stay. */
export function fromWire(object: object): Names {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [camel(name), value]));
}

/** A reply to a write in the words of the API. */
export function writeResult<Result>(reply: object): Result {
  const result = fromWire(reply);
  for (const list of ['errors', 'outcomes']) {
    if (Array.isArray(result[list])) result[list] = (result[list] as object[]).map(fromWire);
  }
  return result as Result;
}

/** A reply to a search in the words of the API. */
export function searchResult(reply: object): SearchResult {
  const result = fromWire(reply) as unknown as SearchResult;
  result.errors = result.errors.map((error) => fromWire(error) as unknown as OperationError);
  result.batchResults = result.batchResults.map((wire) => {
    const answer = fromWire(wire) as unknown as SearchResult['batchResults'][number];
    if (answer.error) answer.error = fromWire(answer.error) as never;
    answer.results = answer.results.map((match) => record(match) as never);
    return answer;
  });
  return result;
}

/** A record whose numbers are those of a `Float32Array`. */
export function record(wire: object): VectorRecord {
  const { data, ...rest } = wire as { id: string; data?: number[] };
  return data === undefined ? rest : { ...rest, data: Float32Array.from(data) };
}

/** Rows as JSON takes them: typed numbers become a list. */
export function rowsOf(rows: readonly object[]): Names[] {
  return rows.map((row) => {
    const wire = toWire(row);
    for (const name of ['data', 'query_vector']) {
      if (wire[name] !== undefined) wire[name] = Array.from(wire[name] as number[]);
    }
    return wire;
  });
}
