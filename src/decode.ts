import { ERROR_CODES, type ErrorCode, VolleyError } from './errors.js';
import type { Refusal } from './refusal.js';
import type {
  Failure,
  OperationError,
  Outcome,
  QueryResult,
  SearchResult,
  VectorRecord,
  WriteResult,
} from './results.js';

type Wire = Record<string, unknown>;

interface WireQueryResult<Metadata extends object> {
  query_id: string;
  results: QueryResult<Metadata>['results'];
  query_time_ms: number;
  status: QueryResult['status'];
  error?: Wire;
}

const camelNames = new Map<string, string>();

/** `ef_search` -> `efSearch`. */
function camelCase(name: string): string {
  let camel = camelNames.get(name);
  if (camel === undefined) {
    camel = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    camelNames.set(name, camel);
  }
  return camel;
}

/** The same object with its own names in camelCase; values are left untouched. */
function camelKeys(wire: Wire): Wire {
  const camel: Wire = {};
  for (const name of Object.keys(wire)) camel[camelCase(name)] = wire[name];
  return camel;
}

/** All names in camelCase, at every depth. Only for replies that hold no data of the caller's. */
export function camelDeep(wire: unknown): unknown {
  if (Array.isArray(wire)) return wire.map(camelDeep);
  if (typeof wire !== 'object' || wire === null) return wire;
  const camel: Wire = {};
  for (const [name, value] of Object.entries(wire)) camel[camelCase(name)] = camelDeep(value);
  return camel;
}

/** The error of a refused request. */
export function replyError(wire: Wire): VolleyError {
  const { errorCode, errorMessage, retriable, ...details } = camelKeys(wire);
  const known = (ERROR_CODES as readonly unknown[]).includes(errorCode);
  return new VolleyError(known ? (errorCode as ErrorCode) : 'INTERNAL', String(errorMessage), {
    retriable: retriable === true,
    details: known ? details : { ...details, errorCode },
  });
}

/** A write reply; rows that never left keep the reason that was found here. */
export function decodeWrite<Result extends WriteResult>(
  reply: Wire,
  refused: ReadonlyMap<number, Refusal>,
): Result {
  const result = camelKeys(reply) as unknown as Result;
  result.errors = failures(result.errors, refused);
  if (result.outcomes !== undefined) {
    result.outcomes = result.outcomes.map((wire) => {
      const outcome = camelKeys(wire) as unknown as Outcome;
      const refusal = refused.get(outcome.index);
      return refusal === undefined ? outcome : { ...outcome, ...refusal.failure, id: refusal.id };
    });
  }
  return result;
}

/** A search reply. */
export function decodeSearch<Metadata extends object>(
  reply: Wire,
  refused: ReadonlyMap<number, Refusal>,
): SearchResult<Metadata> {
  const result = camelKeys(reply) as unknown as SearchResult<Metadata>;
  result.errors = failures(result.errors, refused);
  const answers = reply.batch_results as WireQueryResult<Metadata>[];
  result.batchResults = answers.map((wire, index) => {
    const { query_id: queryId, results, query_time_ms: queryTimeMs, status, error } = wire;
    decodeRecords(results);
    const answer: QueryResult<Metadata> = { queryId, results, queryTimeMs, status };
    const refusal = refused.get(index);
    if (refusal !== undefined) answer.error = refusal.failure;
    else if (error !== undefined) answer.error = camelKeys(error) as unknown as Failure;
    return answer;
  });
  return result;
}

/**
 * Records of a reply, in place: their numbers become a `Float32Array` where they are none yet,
 * metadata stays as it is.
 */
export function decodeRecords<Metadata extends object>(
  records: (VectorRecord<Metadata> | null)[],
): void {
  for (const record of records) {
    if (record?.data === undefined || record.data instanceof Float32Array) continue;
    record.data = Float32Array.from(record.data);
  }
}

function failures(
  errors: OperationError[],
  refused: ReadonlyMap<number, Refusal>,
): OperationError[] {
  return errors.map((wire) => {
    const error = camelKeys(wire) as unknown as OperationError;
    const refusal = refused.get(error.index);
    return refusal === undefined ? error : { ...error, ...refusal.failure, vectorId: refusal.id };
  });
}
