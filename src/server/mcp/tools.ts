import { VolleyError } from '../../errors.js';
import type { Scope } from '../keys.js';
import { REPLIES, REQUESTS, type Schema } from '../schemas.js';

type Arguments = Readonly<Record<string, unknown>>;

/** A tool as a model sees it, and what it asks of the engine. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly verb: string;
  readonly scope: Scope;
  readonly inputSchema: Schema;
  readonly outputSchema: Schema;
  /** Whether it changes nothing. */
  readonly readOnly: boolean;
  /** Whether it may remove or overwrite what is there. */
  readonly destructive: boolean;
  /** The list whose elements are counted for progress. */
  readonly list?: string;
  /** Arguments that the caller may leave out. */
  readonly defaults?: Arguments;
  /** Makes the engine's body of the arguments. */
  readonly body?: (given: Arguments) => Arguments;
}

const COLLECTION: Schema = {
  type: 'string',
  description: 'name of the collection; list_collections tells them',
};

const DEFAULT_LIMIT = 1000;
const DEFAULT_SEARCH_LIMIT = 100;

/** A schema that stands alone: what it refers to goes with it. */
function selfContained(name: string): Schema {
  const text = JSON.stringify({ ...REPLIES[name], $defs: REPLIES });
  const whole = JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')) as Schema;
  const defs = whole.$defs as Record<string, Schema>;
  const used = new Set<string>();
  const follow = (schema: unknown) => {
    for (const [, found = ''] of JSON.stringify(schema).matchAll(/#\/\$defs\/(\w+)/g)) {
      if (used.has(found)) continue;
      used.add(found);
      follow(defs[found]);
    }
  };
  const { $defs: _, ...own } = whole;
  follow(own);
  const kept = [...used].map((found) => [found, defs[found]] as const);
  return kept.length === 0 ? own : { ...own, $defs: Object.fromEntries(kept) };
}

/** A verb's body with the collection, which the path says elsewhere. */
function withCollection(verb: string, defaults: Record<string, unknown>, without: string[] = []) {
  const { properties, required = [] } = REQUESTS[verb] as {
    properties: Record<string, Schema>;
    required?: string[];
  };
  const own = Object.entries(properties)
    .filter(([name]) => !without.includes(name))
    .map(([name, schema]) => [
      name,
      Object.hasOwn(defaults, name) ? { ...schema, default: defaults[name] } : schema,
    ]);
  return {
    type: 'object',
    properties: { collection: COLLECTION, ...Object.fromEntries(own) },
    required: ['collection', ...required],
    additionalProperties: false,
  };
}

const WRITE_DEFAULTS = { atomic: true, batch_size_limit: DEFAULT_LIMIT };
const SEARCH_DEFAULTS = { atomic: false, batch_size_limit: DEFAULT_SEARCH_LIMIT, limit: 10 };

function textsSchema(): Schema {
  const schema = withCollection('insert', WRITE_DEFAULTS, ['vectors']);
  const { vectors } = (REQUESTS.insert as { properties: Record<string, Schema> }).properties;
  const { properties, ...row } = (vectors as { items: { properties: Record<string, Schema> } })
    .items;
  const { data: _, ...fields } = properties;
  const items = { ...row, properties: fields, required: ['id', 'text'] };
  return {
    ...schema,
    properties: { ...schema.properties, texts: { type: 'array', items } },
    required: ['collection', 'texts'],
  };
}

/** Texts are records whose vectors the collection makes. */
function textsBody({ texts, ...rest }: Arguments): Arguments {
  if (!Array.isArray(texts)) {
    throw new VolleyError('INVALID_ARGUMENT', '`texts` must be a list of {id, text, metadata?}', {
      details: { field: 'texts' },
    });
  }
  const index = texts.findIndex((row) => Object.hasOwn(Object(row), 'data'));
  if (index < 0) return { ...rest, vectors: texts };
  const message = `\`texts\` at ${index} has data; batch_insert_vectors takes vectors`;
  throw new VolleyError('INVALID_ARGUMENT', message, { details: { field: 'texts', index } });
}

/** What models can do; few, and each one takes a whole batch. */
export const TOOLS: readonly Tool[] = [
  {
    name: 'batch_insert_texts',
    title: 'Insert texts',
    description:
      'Insert many texts into a collection that has an embedder, in one call. All or nothing ' +
      'unless atomic is false. Example: {"collection": "papers", "texts": [{"id": "p1", "text": ' +
      '"Attention is all you need", "metadata": {"year": 2017}}], "on_conflict": "replace"}',
    verb: 'insert',
    scope: 'write',
    inputSchema: textsSchema(),
    outputSchema: selfContained('InsertReply'),
    readOnly: false,
    destructive: true,
    list: 'texts',
    defaults: WRITE_DEFAULTS,
    body: textsBody,
  },
  {
    name: 'batch_insert_vectors',
    title: 'Insert vectors',
    description:
      'Insert many vectors into a collection in one call. All or nothing unless atomic is false. ' +
      'Example: {"collection": "papers", "vectors": [{"id": "p1", "data": [0.1, 0.2, 0.3], ' +
      '"metadata": {"title": "A title", "year": 2024}}]}',
    verb: 'insert',
    scope: 'write',
    inputSchema: withCollection('insert', WRITE_DEFAULTS),
    outputSchema: selfContained('InsertReply'),
    readOnly: false,
    destructive: true,
    list: 'vectors',
    defaults: WRITE_DEFAULTS,
  },
  {
    name: 'batch_update_vectors',
    title: 'Update vectors',
    description:
      'Change vectors, texts or metadata of many records in one call; what an update leaves out ' +
      'stays, metadata is merged. Example: {"collection": "papers", "updates": [{"id": "p1", ' +
      '"metadata": {"reviewed": true}}]}',
    verb: 'update',
    scope: 'write',
    inputSchema: withCollection('update', WRITE_DEFAULTS),
    outputSchema: selfContained('UpdateReply'),
    readOnly: false,
    destructive: true,
    list: 'updates',
    defaults: WRITE_DEFAULTS,
  },
  {
    name: 'batch_delete_vectors',
    title: 'Delete vectors',
    description:
      'Delete many records by id in one call. Example: {"collection": "papers", "vector_ids": ' +
      '["p1", "p2"], "missing": "ignore"}',
    verb: 'delete',
    scope: 'write',
    inputSchema: withCollection('delete', WRITE_DEFAULTS),
    outputSchema: selfContained('DeleteReply'),
    readOnly: false,
    destructive: true,
    list: 'vector_ids',
    defaults: WRITE_DEFAULTS,
  },
  {
    name: 'batch_search_vectors',
    title: 'Search',
    description:
      'Answer many queries at once, each by a vector or by a text where the collection has an ' +
      'embedder; results stand in the order of the queries, nearest first. Example: ' +
      '{"collection": "papers", "queries": [{"query_text": "attention", "limit": 5, "filters": ' +
      '{"year": {"$gte": 2017}}}, {"query_text": "convolution"}], "limit": 3}',
    verb: 'search',
    scope: 'read',
    inputSchema: withCollection('search', SEARCH_DEFAULTS),
    outputSchema: selfContained('SearchReply'),
    readOnly: true,
    destructive: false,
    list: 'queries',
    defaults: SEARCH_DEFAULTS,
  },
  {
    name: 'list_collections',
    title: 'List collections',
    description:
      'Tell every collection: name, dimension, metric, embedder and count of records. Example: {}',
    verb: 'collections.list',
    scope: 'read',
    inputSchema: { type: 'object', properties: {}, additionalProperties: false },
    outputSchema: selfContained('CollectionList'),
    readOnly: true,
    destructive: false,
  },
  {
    name: 'create_collection',
    title: 'Create a collection',
    description:
      'Make a collection. Example for texts: {"name": "papers", "embedder": "lexical"}; for ' +
      'vectors: {"name": "images", "dimension": 512, "metric": "cosine"}',
    verb: 'collections.create',
    scope: 'admin',
    inputSchema: REQUESTS['collections.create'] as Schema,
    outputSchema: selfContained('CollectionInfo'),
    readOnly: false,
    destructive: false,
  },
];
