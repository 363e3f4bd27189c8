import { VolleyError } from './errors.js';
import { jsonFault } from './json.js';

/** The options of one call: each one's name on the wire, or `null` where it stays here. */
export type OptionNames = ReadonlyMap<string, string | null>;

/** What options become on the wire. */
export type WireOptions = Record<string, unknown>;

/** `efSearch` -> `ef_search`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Names of options, and how they are called on the wire; `kept` ones stay here. */
export function names(sent: readonly string[], kept: readonly string[] = []): OptionNames {
  return new Map<string, string | null>([
    ...sent.map((name) => [name, snakeCase(name)] as const),
    ...kept.map((name) => [name, null] as const),
  ]);
}

const WRITE = [
  'atomic',
  'batchSizeLimit',
  'duplicates',
  'validateOnly',
  'waitFor',
  'outcomes',
  'idempotencyKey',
];
const KEPT = ['onError', 'signal', 'deadlineMs'];
const WRITE_KEPT = [...KEPT, 'onProgress'];
const QUERY = ['limit', 'threshold', 'filters', 'include', 'efSearch', 'recall'];

export const OPEN_OPTIONS = names(['durability', 'threads'], ['batchOperations', 'embedders']);
export const COLLECTION_OPTIONS = names(['dimension', 'metric'], ['embedder', 'hnsw']);
export const HNSW_OPTIONS = names(['m', 'efConstruction']);
export const HANDLE_OPTIONS = names([], ['embedder']);
export const INSERT_OPTIONS = names([...WRITE, 'onConflict'], WRITE_KEPT);
export const UPSERT_OPTIONS = names(WRITE, WRITE_KEPT);
export const UPDATE_OPTIONS = names([...WRITE, 'metadataMode'], WRITE_KEPT);
export const DELETE_OPTIONS = names([...WRITE, 'missing'], WRITE_KEPT);
export const MIXED_OPTIONS = names(
  WRITE.filter((name) => name !== 'duplicates'),
  WRITE_KEPT,
);
export const SEARCH_OPTIONS = names([...QUERY, 'atomic', 'batchSizeLimit'], KEPT);
export const GET_OPTIONS = names(['include']);
export const COUNT_OPTIONS = names(['filters']);
export const LIST_OPTIONS = names(['filters', 'include'], ['limit']);

const RECORD = ['id', 'text', 'metadata', 'group'];

/** The fields of a row, by call; its vector travels beside the header. */
export const RECORD_FIELDS = names(RECORD, ['data']);
export const OPERATION_FIELDS = names(
  ['op', ...RECORD, 'ifVersion', 'onConflict', 'metadataMode', 'missing'],
  ['data'],
);
export const QUERY_FIELDS = names([...QUERY, 'queryText', 'queryId'], ['queryVector']);

/**
 * The one door for options: refuses unknown ones and what JSON cannot carry, leaves out what is
 * `undefined`, and gives the rest its wire name. Values are judged by the engine.
 */
export function take(call: string, options: object, allowed: OptionNames): WireOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new VolleyError('INVALID_ARGUMENT', `${call}: options must be an object`, {
      details: { field: 'options' },
    });
  }
  const wire: WireOptions = {};
  for (const [name, value] of Object.entries(options)) {
    const wireName = allowed.get(name);
    if (wireName === undefined) throw unknownOption(call, name, allowed);
    if (value === undefined || wireName === null) continue;
    const fault = jsonFault(value);
    if (fault !== undefined) {
      const code = name === 'filters' ? 'INVALID_FILTER' : 'INVALID_ARGUMENT';
      throw new VolleyError(code, `${call}: ${name} ${fault}`, { details: { field: name } });
    }
    wire[wireName] = value;
  }
  return wire;
}

function unknownOption(call: string, name: string, allowed: OptionNames): VolleyError {
  const list = [...allowed.keys()].join(', ');
  return new VolleyError(
    'INVALID_ARGUMENT',
    `${call} has no option ${JSON.stringify(name)}; it takes ${list || 'none'}`,
    { details: { field: name } },
  );
}

/** Options that stay on this side, checked. */
export function takeOnError(options: { onError?: unknown }): 'throw' | 'collect' {
  const { onError = 'throw' } = options;
  if (onError === 'throw' || onError === 'collect') return onError;
  throw new VolleyError('INVALID_ARGUMENT', "onError must be 'throw' or 'collect'", {
    details: { field: 'onError' },
  });
}

/** An optional call-back. */
export function callback<T>(field: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw new VolleyError('INVALID_ARGUMENT', `${field} must be a function`, {
    details: { field },
  });
}

/** The most that a list may yield; `undefined` = all. */
export function takeListLimit(options: { limit?: unknown }): number | undefined {
  const { limit } = options;
  if (limit === undefined) return undefined;
  if (Number.isSafeInteger(limit) && (limit as number) >= 1) return limit as number;
  throw new VolleyError('INVALID_ARGUMENT', 'limit must be an integer from 1', {
    details: { field: 'limit' },
  });
}
