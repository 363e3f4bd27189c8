import { ERROR_CODES } from '../errors.js';

/** A JSON Schema (2020-12), as OpenAPI 3.1 and MCP take it. */
export type Schema = Readonly<Record<string, unknown>>;

const text = (description: string, more: Schema = {}): Schema => ({
  type: 'string',
  description,
  ...more,
});
const word = (description: string, ...words: string[]): Schema =>
  text(description, { enum: words });
const count = (description: string, more: Schema = {}): Schema => ({
  type: 'integer',
  minimum: 0,
  description,
  ...more,
});
const flag = (description: string): Schema => ({ type: 'boolean', description });
const number = (description: string, limits: Schema = {}): Schema => ({
  type: 'number',
  description,
  ...limits,
});
const list = (items: Schema, description = ''): Schema => ({
  type: 'array',
  items,
  ...(description !== '' && { description }),
});
const nullable = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const PROGRESS_COUNTS = [
  'received',
  'durable',
  'applied',
  'indexed',
  'failed',
  'bytes',
  'memory_bytes',
];

/** An object; only replies may have further names: requests with such are refused. */
function object(properties: Record<string, Schema>, required: string[] = [], open = false): Schema {
  return {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    additionalProperties: open,
  };
}

/** Lengths in characters; the engine counts bytes of UTF-8. */
const NAME_LENGTHS = { minLength: 1, maxLength: 255 };
const ID = text('1 to 512 bytes of UTF-8, kept to the byte', { minLength: 1, maxLength: 512 });
const DATA = list({ type: 'number' }, "as many numbers as the collection's dimension");
const TEXT = text('embedded where data is absent and the collection has an embedder; kept');
const METADATA: Schema = {
  type: 'object',
  description: 'at most 64 KiB, 16 levels deep, no key that begins with $',
  additionalProperties: true,
};
const LABEL = text('as the server knows it', { minLength: 1 });
const GROUP = text('operations of one group land together or not at all; best effort only');
const FILTERS: Schema = {
  type: 'object',
  description:
    'conditions on metadata: {field: value} or {field: {$op: value}} with $eq $ne $gt $gte $lt ' +
    '$lte $in $nin $exists, combined by $and $or $not; a dot steps into objects',
  additionalProperties: true,
};
const INCLUDE = list(
  { type: 'string', enum: ['metadata', 'text', 'data'] },
  'parts of the records to return; metadata and text where left out',
);
const ON_CONFLICT = word('what to do with an id that exists', 'error', 'replace', 'skip');
const METADATA_MODE = word('merge patch (RFC 7396) or the new whole', 'merge', 'replace');
const MISSING = word('what to do with an id that does not exist', 'error', 'ignore');
const ATOMIC = flag('all or nothing; default true for writes, false for searches');
const BATCH_SIZE_LIMIT = count("the caller's own cap on the batch: over it nothing is done", {
  minimum: 1,
});

const MIXED_OPTIONS = {
  atomic: ATOMIC,
  batch_size_limit: BATCH_SIZE_LIMIT,
  validate_only: flag('plan and reply, but write nothing'),
  wait_for: word('when to reply', 'durable', 'applied', 'indexed'),
  outcomes: word('list what failed, or every outcome', 'failures', 'all'),
  idempotency_key: text('makes a retry of this very request harmless', NAME_LENGTHS),
  stream_id: text('name of the stream that this batch is a part of; with offset', NAME_LENGTHS),
  offset: count('operations of the stream before this batch'),
};

const PLAIN_OPTIONS = {
  ...MIXED_OPTIONS,
  duplicates: word('rule for an id that stands twice', 'reject', 'last_wins'),
};

const QUERY_OPTIONS = {
  limit: count('most matches; default 10', { minimum: 1, maximum: 1000 }),
  threshold: number('least score of a match'),
  filters: FILTERS,
  include: INCLUDE,
  ef_search: count('candidates that the search keeps; more finds more', {
    minimum: 1,
    maximum: 4096,
  }),
  recall: number('in place of ef_search: the share of the nearest to find, as measured', {
    minimum: 0,
    maximum: 1,
  }),
};

const NEW_RECORD = { id: ID, data: DATA, text: TEXT, metadata: METADATA };

/** Bodies of requests, by verb. */
export const REQUESTS: Readonly<Record<string, Schema>> = {
  insert: object(
    {
      vectors: list(object({ ...NEW_RECORD, group: GROUP }, ['id'])),
      on_conflict: ON_CONFLICT,
      ...PLAIN_OPTIONS,
    },
    ['vectors'],
  ),
  update: object(
    {
      updates: list(object({ ...NEW_RECORD, group: GROUP }, ['id'])),
      metadata_mode: METADATA_MODE,
      ...PLAIN_OPTIONS,
    },
    ['updates'],
  ),
  delete: object({ vector_ids: list(ID), missing: MISSING, ...PLAIN_OPTIONS }, ['vector_ids']),
  write: object(
    {
      operations: list(
        object(
          {
            op: word('the kind of operation', 'insert', 'update', 'delete'),
            ...NEW_RECORD,
            group: GROUP,
            if_version: count('version that the record must have; 0 = there must be none'),
            on_conflict: ON_CONFLICT,
            metadata_mode: METADATA_MODE,
            missing: MISSING,
          },
          ['op', 'id'],
        ),
      ),
      ...MIXED_OPTIONS,
    },
    ['operations'],
  ),
  search: object(
    {
      queries: list(
        object({
          query_vector: DATA,
          query_text: text('embedded by the collection, in place of a vector'),
          query_id: text('default: query_1, query_2, ...'),
          ...QUERY_OPTIONS,
        }),
      ),
      atomic: ATOMIC,
      batch_size_limit: BATCH_SIZE_LIMIT,
      ...QUERY_OPTIONS,
    },
    ['queries'],
  ),
  list: object({
    limit: count('most records of the page; default 1,000', { minimum: 1, maximum: 10_000 }),
    after: text('the `next` of the page before', { minLength: 1 }),
    filters: FILTERS,
    include: INCLUDE,
  }),
  count: object({ filters: FILTERS }),
  'stream.offset': object({ stream_id: text('name of the stream', NAME_LENGTHS) }, ['stream_id']),
  get: object(
    {
      vector_ids: list(text('an id that no record can have is one without a record')),
      include: INCLUDE,
    },
    ['vector_ids'],
  ),
  'collections.create': object(
    {
      name: text('letters, digits, _ . -; begins with a letter or digit', {
        pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$',
      }),
      dimension: count('numbers per vector; not needed with the embedder lexical', {
        minimum: 1,
        maximum: 8192,
      }),
      metric: word('how nearness is judged', 'cosine', 'euclidean', 'dot_product'),
      embedder: {
        description: 'what turns texts into vectors: the built-in one, or one the server knows',
        anyOf: [
          { type: 'string', enum: ['lexical'] },
          object({ name: LABEL, version: LABEL, dimension: count('') }, ['name', 'version']),
        ],
      },
      hnsw: object({
        m: count('links per record', { minimum: 4, maximum: 64 }),
        ef_construction: count('candidates while linking', { minimum: 16, maximum: 1000 }),
      }),
    },
    ['name'],
  ),
};

const FAILURE = {
  error_code: word('what programs branch on', ...ERROR_CODES),
  error_message: text('for people'),
  retriable: flag('whether the same request may succeed later'),
};
const FAILURE_NAMES = Object.keys(FAILURE);

const WRITE_REPLY = {
  failed_count: count('of a failed atomic batch, the whole batch'),
  skipped_count: count('operations whose own rule said to do nothing'),
  unchanged_count: count('operations that met a record that already was as asked'),
  errors: list(ref('OperationError'), 'every failed operation, by index'),
  outcomes: list(ref('Outcome')),
  sequence: count("the commit's number: the version of the records it wrote"),
  reached: word('how far the batch had come', 'received', 'durable', 'applied', 'indexed'),
  replayed: flag('the reply of an earlier request with the same key'),
  batch_id: text('name of the batch in progress reports'),
  processing_time_ms: number('inside the engine'),
  status: word('whether all, some or none succeeded', 'success', 'partial', 'failed'),
};

function writeReply(...counts: string[]): Schema {
  const own = Object.fromEntries(counts.map((name) => [name, count('')]));
  const { outcomes: _, ...required } = WRITE_REPLY;
  return object({ ...own, ...WRITE_REPLY }, [...counts, ...Object.keys(required)], true);
}

const RECORD = object(
  {
    id: ID,
    version: count('sequence of the batch that last wrote it'),
    data: DATA,
    text: TEXT,
    metadata: METADATA,
  },
  ['id'],
);

/** Replies, and what they are made of, by the name that `$ref` uses. */
export const REPLIES: Readonly<Record<string, Schema>> = {
  InsertReply: writeReply('inserted_count'),
  UpdateReply: writeReply('updated_count'),
  DeleteReply: writeReply('deleted_count'),
  MixedReply: writeReply('inserted_count', 'updated_count', 'deleted_count'),
  OperationError: object(
    {
      operation_id: text(''),
      vector_id: nullable(text('')),
      index: count('place in the batch'),
      ...FAILURE,
    },
    ['operation_id', 'vector_id', 'index', ...FAILURE_NAMES],
    true,
  ),
  Outcome: object(
    {
      index: count('place in the batch'),
      id: nullable(text('')),
      status: word(
        'what happened',
        ...['created', 'replaced', 'updated', 'deleted', 'unchanged', 'skipped', 'failed'],
      ),
      ...FAILURE,
    },
    ['index', 'id', 'status'],
    true,
  ),
  SearchReply: object(
    {
      batch_results: list(ref('QueryResult'), 'one for each query, in request order'),
      total_queries: count(''),
      successful_queries: count(''),
      failed_queries: count(''),
      errors: list(ref('OperationError')),
      processing_time_ms: number('inside the engine'),
      status: word('', 'success', 'partial', 'failed'),
    },
    [
      'batch_results',
      ...['total_queries', 'successful_queries', 'failed_queries'],
      ...['errors', 'processing_time_ms', 'status'],
    ],
    true,
  ),
  QueryResult: object(
    {
      query_id: text(''),
      results: list(ref('Match'), 'nearest first'),
      query_time_ms: number(''),
      status: word('', 'success', 'failed'),
      error: object(FAILURE, FAILURE_NAMES, true),
    },
    ['query_id', 'results', 'query_time_ms', 'status'],
    true,
  ),
  Match: object(
    { id: ID, score: number('larger is nearer'), data: DATA, text: TEXT, metadata: METADATA },
    ['id', 'score'],
  ),
  Record: RECORD,
  GetReply: object({ vectors: list(nullable(ref('Record'))) }, ['vectors']),
  ListReply: object({ vectors: list(ref('Record')), next: nullable(text('cursor')) }, [
    'vectors',
    'next',
  ]),
  CountReply: object({ count: count('') }, ['count']),
  IndexedReply: object({ indexed: count('') }, ['indexed']),
  CompactReply: object(
    Object.fromEntries(
      ['files_before', 'files_after', 'bytes_before', 'bytes_after'].map((name) => [
        name,
        count(''),
      ]),
    ),
  ),
  CollectionInfo: object(
    {
      name: text(''),
      dimension: count('numbers per vector'),
      metric: text(''),
      embedder: nullable(object({ name: text(''), version: text('') }, [], true)),
      count: count('records'),
      sequence: count('number of the last batch that reads see'),
      durable: count('number of the last batch that is synced'),
      indexed: count('number of the last batch that is in the graph'),
    },
    ['name', 'dimension', 'metric', 'embedder', 'count', 'sequence'],
    true,
  ),
  CollectionList: object({ collections: list(ref('CollectionInfo')) }, ['collections']),
  OffsetReply: object({ offset: count('') }, ['offset']),
  BatchProgress: object(
    {
      batch_id: text(''),
      verb: text(''),
      collection: nullable(text('')),
      status: word('', 'running', 'success', 'partial', 'failed', 'cancelled'),
      total: nullable(count('operations or queries, once they are known')),
      ...Object.fromEntries(PROGRESS_COUNTS.map((name) => [name, count('')])),
      rate_per_s: number('operations received a second'),
      sequence: nullable(count('number of its commit')),
      processing_time_ms: number(''),
    },
    ['batch_id', 'verb', 'status', ...PROGRESS_COUNTS, 'rate_per_s', 'processing_time_ms'],
    true,
  ),
  Empty: object({}),
  Problem: object(
    {
      type: text('urn:volley:error:<code>'),
      title: text(''),
      status: count(''),
      detail: text(''),
      request_id: text(''),
      ...FAILURE,
    },
    ['type', 'title', 'status', 'detail', 'request_id', ...FAILURE_NAMES],
    true,
  ),
};
