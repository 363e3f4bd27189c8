import { REPLIES, REQUESTS, type Schema } from '../schemas.js';
import { ROUTES, type Route } from './routes.js';
import { FLOAT32_TYPE } from './types.js';

const JSON_TYPE = 'application/json';
const BATCH_REPLIES = ['InsertReply', 'UpdateReply', 'DeleteReply', 'MixedReply', 'SearchReply'];
const BATCH_FAILURES = ['400', '404', '409', '412', '422', '502'];

const EVENTS = {
  description: 'events until the batch has ended',
  content: { 'text/event-stream': { schema: { type: 'string' } } },
};

/** The OpenAPI 3.1 document of the REST surface. */
export function openApi(hasKeys: boolean): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const route of ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) };
  }
  const plain = { description: 'done', content: { [JSON_TYPE]: { schema: { type: 'object' } } } };
  for (const [path, summary] of [
    ['/health', 'Whether the process is up'],
    ['/ready', 'Whether requests are let in'],
    ['/api/v1/limits', 'Every limit with its unit'],
    ['/api/v1/config', 'How the store treats batches'],
  ] as const) {
    paths[path] = {
      get: { summary, operationId: path.slice(1).replaceAll('/', '_'), responses: { 200: plain } },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Volley',
      version: '1',
      summary: 'A batch-first vector store',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: REPLIES,
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
    security: hasKeys ? [{ key: [] }] : [],
  };
}

function operation(route: Route): Schema {
  const reply = (name: string, description: string) => ({
    description,
    content: { [JSON_TYPE]: { schema: { $ref: `#/components/schemas/${name}` } } },
  });
  const problem = {
    description: 'refused: nothing was done',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
  const failures = BATCH_REPLIES.includes(route.reply)
    ? BATCH_FAILURES.map((status) => [
        status,
        {
          description: 'refused, or an atomic batch that failed: nothing was done',
          content: { ...problem.content, ...reply(route.reply, '').content },
        },
      ])
    : [];
  return {
    summary: route.summary,
    operationId: operationId(route),
    parameters: parameters(route),
    ...(route.input === 'body' && { requestBody: requestBody(route) }),
    responses: {
      [route.status ?? 200]: route.isFollowed === true ? EVENTS : reply(route.reply, 'done'),
      ...Object.fromEntries(failures),
      default: problem,
    },
  };
}

function operationId({ method, path }: Route): string {
  const words = path.replace('/api/v1/', '').replaceAll(/[{}]/g, '').split('/');
  return [method.toLowerCase(), ...words].join('_');
}

function parameters({ path, verb, input, method }: Route): Schema[] {
  const segments = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1 },
  }));
  const { properties = {} } = (REQUESTS[verb] ?? {}) as { properties?: Record<string, Schema> };
  const asked = input === 'query' && (verb === 'list' || verb === 'get');
  const query = Object.entries(properties)
    .filter(([name]) => asked && name !== 'filters' && name !== 'vector_ids')
    .map(([name, schema]) => ({ name, in: 'query', schema, style: 'form', explode: false }));
  const isWrite = ['insert', 'update', 'delete', 'write'].includes(verb);
  const key = { name: 'Idempotency-Key', in: 'header', schema: { type: 'string', maxLength: 255 } };
  return [...segments, ...query, ...(isWrite && method !== 'GET' ? [key] : [])];
}

function requestBody({ verb, stream }: Route): Schema {
  const block = ['insert', 'update', 'write', 'search'].includes(verb);
  return {
    required: true,
    content: {
      [JSON_TYPE]: { schema: REQUESTS[verb] },
      ...(block && {
        [FLOAT32_TYPE]: {
          schema: {
            type: 'string',
            format: 'binary',
            description:
              'one line of JSON, without the vectors, a line feed, then the vectors end to end ' +
              'as little-endian float32',
          },
        },
      }),
      ...(stream !== undefined && {
        'application/x-ndjson': {
          schema: { type: 'string', description: 'one operation a line; options in the query' },
        },
      }),
    },
  };
}
