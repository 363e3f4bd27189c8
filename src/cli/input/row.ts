import type { ErrorCode, InsertRow, JsonObject } from '../../index.js';

/** A row that cannot be imported, and why. */
export interface RowProblem {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string;
  /** Where the row stands. */
  readonly path: string;
  /** The line of the file, counted from 1. */
  readonly line: number;
}

/** A piece of the input: a record, or a problem, or neither where a file holds nothing. */
export interface ImportItem {
  readonly row?: InsertRow;
  readonly problem?: RowProblem;
  /** Bytes of the input that this piece accounts for. */
  readonly bytes: number;
}

/** A row as its line says it; the vector may be missing, to come from elsewhere. */
export interface ParsedRow {
  readonly id: string;
  readonly data?: Float32Array;
  readonly text?: string;
  readonly metadata?: JsonObject;
}

class RowError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** `error` stands in files of failed operations, which are read again. */
const FIELDS = new Set(['id', 'data', 'text', 'metadata', 'error']);

/**
 * Reads one line of NDJSON: `{id, data?, text?, metadata?}`.
 *
 * Only the shape is checked here, so that one bad line fails alone; limits, the dimension and the
 * numbers are judged by the engine.
 */
export function parseRow(line: string): ParsedRow | Omit<RowProblem, 'path' | 'line'> {
  try {
    return readFields(JSON.parse(line));
  } catch (error) {
    const errorCode = error instanceof RowError ? error.code : 'INVALID_ARGUMENT';
    return { errorCode, errorMessage: (error as Error).message };
  }
}

function readFields(value: unknown): ParsedRow {
  if (!isObject(value)) throw new RowError('INVALID_ARGUMENT', 'a row is a JSON object');
  for (const field of Object.keys(value)) {
    if (FIELDS.has(field)) continue;
    const known = 'id, data, text and metadata';
    throw new RowError('INVALID_ARGUMENT', `field ${field} is not known; a row has ${known}`);
  }
  const { id, data, text, metadata } = value;
  if (typeof id !== 'string') throw new RowError('INVALID_ID', 'id is not a string');
  if (!isAbsent(text) && typeof text !== 'string') {
    throw new RowError('INVALID_ARGUMENT', 'text is not a string');
  }
  if (!isAbsent(metadata) && !isObject(metadata)) {
    throw new RowError('INVALID_METADATA', 'metadata is not an object');
  }
  return {
    id,
    ...(isAbsent(data) ? {} : { data: readVector(data) }),
    ...(isAbsent(text) ? {} : { text }),
    ...(isAbsent(metadata) ? {} : { metadata: metadata as JsonObject }),
  };
}

function readVector(data: unknown): Float32Array {
  if (!Array.isArray(data) || !data.every((number) => typeof number === 'number')) {
    throw new RowError('INVALID_VECTOR', 'data is not a list of numbers');
  }
  return Float32Array.from(data as number[]);
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
