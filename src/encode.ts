import { BlockBuilder, blockFault, nameOf } from './block.js';
import { type ErrorCode, VolleyError } from './errors.js';
import { jsonFault } from './json.js';
import {
  OPERATION_FIELDS,
  type OptionNames,
  QUERY_FIELDS,
  RECORD_FIELDS,
  type WireOptions,
} from './options.js';
import { type Refusal, refusal, shownId } from './refusal.js';

/** A request as it leaves: the header's own fields, the numbers, and the rows that stay behind. */
export interface Encoded {
  /** Fields of the header beside `collection` and the options. */
  readonly header: WireOptions;
  /** All vectors end to end. */
  readonly block?: Float32Array;
  /** Rows that JSON cannot carry, by index. */
  readonly refused: ReadonlyMap<number, Refusal>;
}

type Row = Readonly<Record<string, unknown>>;

/** Records to insert: rows or columns. */
export function encodeVectors(call: string, input: unknown): Encoded {
  if (isColumns(input)) return encodeColumns(call, input);
  return encodeRows(call, 'vectors', input, RECORD_FIELDS);
}

/** Changes to records: rows or columns. */
export function encodeUpdates(input: unknown): Encoded {
  if (isColumns(input)) return encodeColumns('update', input);
  return encodeRows('update', 'updates', input, RECORD_FIELDS);
}

/** The operations of a mixed batch. */
export function encodeOperations(input: unknown): Encoded {
  return encodeRows('write', 'operations', input, OPERATION_FIELDS);
}

/** The ids of a delete. */
export function encodeIds(call: string, input: unknown): Encoded {
  const ids = requireArray(call, 'ids', input);
  const refused = new Map<number, Refusal>();
  const vector_ids = Array.from(ids, (id, index) => idOrNull(id, index, refused));
  return { header: { vector_ids }, refused };
}

/**
 * The queries of a search.
 *
 * @param dimension The collection's: it says how many queries a block holds.
 */
export function encodeQueries(input: unknown, dimension: number): Encoded {
  if (!Array.isArray(input) && typeof input === 'object' && input !== null) {
    return encodeQueryColumns(input as Row, dimension);
  }
  const queries = requireArray('search', 'queries', input);
  const refused = new Map<number, Refusal>();
  const block = new BlockBuilder(queries.length * dimension);
  const wire = Array.from(queries, (query, index) => {
    const row = encodeQuery(query, block);
    if (!isRefusal(row)) return row;
    refused.set(index, row);
    return row.id === null ? {} : { query_id: row.id };
  });
  const { block: values, lengths } = block.finish();
  return encoded({ queries: wire, ...(lengths && { lengths }) }, values, refused);
}

function encodeRows(call: string, list: string, input: unknown, fields: OptionNames): Encoded {
  const rows = requireArray(call, 'rows', input);
  const refused = new Map<number, Refusal>();
  const block = new BlockBuilder(rows.length * lengthOf(rows[0]));
  const wire = Array.from(rows, (row, index) => {
    const encodedRow = encodeRow(row, fields, block);
    if (!isRefusal(encodedRow)) return encodedRow;
    refused.set(index, encodedRow);
    return withoutId(row);
  });
  const { block: values, lengths } = block.finish();
  return encoded({ [list]: wire, ...(lengths && { lengths }) }, values, refused);
}

/** Exactly one entry is added to `block`, whatever becomes of the row. */
function encodeRow(row: unknown, fields: OptionNames, block: BlockBuilder): WireOptions | Refusal {
  const wire = plainFields(row, fields);
  if (isRefusal(wire)) {
    block.add(undefined);
    return wire;
  }
  const { id, data } = row as Row;
  const fault = block.add(data);
  return fault === undefined ? wire : refusal('INVALID_VECTOR', 'data', fault, id);
}

function encodeQuery(query: unknown, block: BlockBuilder): WireOptions | Refusal {
  const wire = plainFields(query, QUERY_FIELDS);
  const { queryId, queryVector } = (query ?? {}) as Row;
  if (isRefusal(wire)) {
    block.add(undefined);
    return { ...wire, id: shownId(queryId) };
  }
  const fault = block.add(queryVector);
  if (fault === undefined) return wire;
  return refusal('INVALID_VECTOR', 'queryVector', fault, queryId);
}

/** The fields that go into the header, under their wire names; the vector goes into the block. */
function plainFields(row: unknown, fields: OptionNames): WireOptions | Refusal {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    return refusal('INVALID_ARGUMENT', 'the row', `is ${nameOf(row)}, not an object`);
  }
  const { id } = row as Row;
  const wire: WireOptions = {};
  for (const name of Object.keys(row)) {
    const wireName = fields.get(name);
    const value = (row as Row)[name];
    if (wireName === undefined) {
      return refusal('INVALID_ARGUMENT', JSON.stringify(name), 'is no known field', id);
    }
    if (wireName === null || value === undefined) continue;
    const fault = jsonFault(value);
    if (fault !== undefined) return refusal(codeOf(name), name, fault, id);
    wire[wireName] = value;
  }
  return wire;
}

function codeOf(field: string): ErrorCode {
  if (field === 'id') return 'INVALID_ID';
  if (field === 'metadata') return 'INVALID_METADATA';
  return field === 'filters' ? 'INVALID_FILTER' : 'INVALID_ARGUMENT';
}

/** What stands in a refused row's place: its operation and group still count. */
function withoutId(row: unknown): WireOptions {
  const { op, group } = (row ?? {}) as Row;
  const wire: WireOptions = { id: null };
  if (typeof op === 'string' && op.isWellFormed()) wire.op = op;
  if (typeof group === 'string' && group.isWellFormed()) wire.group = group;
  return wire;
}

const COLUMNS = ['ids', 'data', 'texts', 'metadata'];

function isColumns(input: unknown): input is Row {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

function encodeColumns(call: string, input: Row): Encoded {
  refuseUnknown(call, input, COLUMNS);
  const ids = requireArray(call, 'ids', input.ids);
  const refused = new Map<number, Refusal>();
  const header: WireOptions = {
    ids: Array.from(ids, (id, index) => idOrNull(id, index, refused)),
  };
  for (const name of ['texts', 'metadata'] as const) {
    if (input[name] === undefined) continue;
    const column = requireArray(call, name, input[name]);
    header[name] = Array.from(column, (value, index) => {
      const fault = value === undefined ? undefined : jsonFault(value);
      if (fault === undefined) return value ?? null;
      const code = name === 'texts' ? 'INVALID_ARGUMENT' : 'INVALID_METADATA';
      refused.set(index, refusal(code, name, fault, ids[index]));
      return null;
    });
  }
  const wireIds = header.ids as unknown[];
  for (const index of refused.keys()) if (index < wireIds.length) wireIds[index] = null;
  return encoded(header, takeBlock(call, 'data', input.data), refused);
}

function encodeQueryColumns(input: Row, dimension: number): Encoded {
  refuseUnknown('search', input, ['queryVectors']);
  const block = takeBlock('search', 'queryVectors', input.queryVectors);
  const length = block?.length ?? 0;
  if (block === undefined || length === 0 || length % dimension !== 0) {
    throw new VolleyError(
      'DIMENSION_MISMATCH',
      `search: queryVectors has ${length} numbers, not a multiple of the dimension ${dimension}`,
      { details: { field: 'queryVectors', actual: length, dimension } },
    );
  }
  const queries = Array.from({ length: length / dimension }, () => ({}));
  return encoded({ queries }, block, new Map());
}

function encoded(
  header: WireOptions,
  block: Float32Array | undefined,
  refused: ReadonlyMap<number, Refusal>,
): Encoded {
  return block === undefined ? { header, refused } : { header, block, refused };
}

function idOrNull(id: unknown, index: number, refused: Map<number, Refusal>): string | null {
  if (typeof id === 'string' && id.isWellFormed()) return id;
  const fault = typeof id === 'string' ? jsonFault(id) : `is ${nameOf(id)}, not a string`;
  refused.set(index, refusal('INVALID_ID', 'id', fault ?? '', id));
  return null;
}

function takeBlock(call: string, field: string, block: unknown): Float32Array | undefined {
  if (block === undefined) return undefined;
  const fault = blockFault(block);
  if (fault === undefined) return block as Float32Array;
  throw new VolleyError('INVALID_ARGUMENT', `${call}: ${field} ${fault}`, { details: { field } });
}

function requireArray(call: string, field: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  const message = `${call}: ${field} is ${nameOf(value)}, not an array`;
  throw new VolleyError('INVALID_ARGUMENT', message, { details: { field } });
}

function refuseUnknown(call: string, input: Row, known: readonly string[]): void {
  for (const field of Object.keys(input)) {
    if (known.includes(field)) continue;
    const message = `${call}: columns have no ${JSON.stringify(field)}, only ${known.join(', ')}`;
    throw new VolleyError('INVALID_ARGUMENT', message, { details: { field } });
  }
}

function isRefusal(value: WireOptions | Refusal): value is Refusal {
  return 'failure' in value;
}

/** Numbers of the first row's vector: the others' most likely count. */
function lengthOf(row: unknown): number {
  const { data } = (row ?? {}) as Row;
  const length =
    Array.isArray(data) || ArrayBuffer.isView(data) ? (data as { length?: number }).length : 0;
  return length ?? 0;
}
