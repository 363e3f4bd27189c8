import { createRequire } from 'node:module';
import test from 'ava';
import fc from 'fast-check';
import { openApi } from '../../src/server/index.js';
import { REPLIES, REQUESTS, type Schema } from '../../src/server/schemas.js';
import { request, served } from './helpers.js';

// A JSON Schema validator that is there with the MCP client; the schemas are of its dialect.
const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020') as {
  Ajv2020: new (
    options: object,
  ) => {
    addSchema(schema: object, name: string): void;
    validate(name: string | object, value: unknown): boolean;
    errors: unknown;
  };
};

function validator() {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ components: { schemas: REPLIES } }, 'volley');
  return (name: string, value: unknown) => {
    const isValid = ajv.validate({ $ref: `volley#/components/schemas/${name}` }, value);
    return isValid ? undefined : JSON.stringify(ajv.errors);
  };
}

test('the document is of OpenAPI 3.1 and every reference leads somewhere', async (t) => {
  const { url } = await served(t);
  const document = (await request(`${url}/api/v1/openapi.json`, 'GET')).json;
  t.is(document.openapi, '3.1.0');
  t.deepEqual(document, JSON.parse(JSON.stringify(openApi(false))));
  const text = JSON.stringify(document);
  for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    t.true(Object.hasOwn(document.components.schemas, name), name);
  }
  const ids = Array.from(text.matchAll(/"operationId":"(\w+)"/g), ([, id]) => id);
  t.is(new Set(ids).size, ids.length);
  for (const [path, methods] of Object.entries<Record<string, Schema>>(document.paths)) {
    const open = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name);
    for (const { parameters = [], responses } of Object.values(methods)) {
      const named = (parameters as { in: string; name: string }[])
        .filter((parameter) => parameter.in === 'path')
        .map(({ name }) => name);
      t.deepEqual(named, open, path);
      t.truthy(responses);
    }
  }
});

test('the fields of every body are the ones that the engine knows', async (t) => {
  const { url } = await served(t);
  await request(`${url}/api/v1/collections`, 'POST', { name: 'c', dimension: 1 });
  const paths: Record<string, [string, string]> = {
    insert: ['POST', '/c/vectors/batch'],
    update: ['PUT', '/c/vectors/batch'],
    delete: ['DELETE', '/c/vectors/batch'],
    write: ['POST', '/c/batch'],
    search: ['POST', '/c/search/batch'],
    list: ['POST', '/c/vectors/list'],
    count: ['POST', '/c/vectors/count'],
    get: ['POST', '/c/vectors/get'],
    'stream.offset': ['POST', '/c/streams/offset'],
    'collections.create': ['POST', ''],
  };
  // Ways of the TypeScript API to the same fields, which no body of JSON alone can use.
  const inProcess = ['collection', 'ids', 'texts', 'metadata', 'lengths', 'stage'];
  for (const [verb, schema] of Object.entries(REQUESTS)) {
    const [method, path] = paths[verb] ?? ['', ''];
    const { properties, required = [] } = schema as {
      properties: Record<string, Schema>;
      required?: string[];
    };
    const least = Object.fromEntries(
      required.map((name) => [name, properties[name]?.type === 'array' ? [] : 'd']),
    );
    const body = { ...least, ...(verb === 'collections.create' && { dimension: 1 }), '?': 1 };
    const { json } = await request(`${url}/api/v1/collections${path}`, method, body);
    const [, names = ''] = /expected one of (.*)$/.exec(json.detail) ?? [];
    const known = names.split(', ').filter((name) => !inProcess.includes(name));
    t.deepEqual(known.sort(), Object.keys(properties).sort(), verb);
  }
});

test('what the schemas allow is understood, and every reply fits its schema', async (t) => {
  const { url } = await served(t);
  const path = `${url}/api/v1/collections/c`;
  await request(`${url}/api/v1/collections`, 'POST', { name: 'c', dimension: 2 });
  const fault = validator();
  const id = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
  const data = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 3 });
  const metadata = fc.dictionary(
    fc.stringMatching(/^[a-z]{1,5}$/),
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
  );
  const option = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
  const writeOptions = {
    atomic: option(fc.boolean()),
    batch_size_limit: option(fc.integer({ min: 1, max: 5 })),
    duplicates: option(fc.constantFrom('reject', 'last_wins')),
    validate_only: option(fc.boolean()),
    wait_for: option(fc.constantFrom('durable', 'applied')),
    outcomes: option(fc.constantFrom('failures', 'all')),
  };
  const row = { id, data: option(data), text: option(fc.string()), metadata: option(metadata) };
  const insert = fc.record({
    vectors: fc.array(fc.record(row), { maxLength: 4 }),
    on_conflict: option(fc.constantFrom('error', 'replace', 'skip')),
    ...writeOptions,
  });
  const search = fc.record({
    queries: fc.array(
      fc.record({ query_vector: data, limit: option(fc.integer({ min: 1, max: 9 })) }),
      {
        maxLength: 3,
      },
    ),
    atomic: option(fc.boolean()),
    include: option(fc.subarray(['metadata', 'text', 'data'])),
  });
  const check = async (reply: string, method: string, where: string, body: object) => {
    const { status, type, json } = await request(`${path}${where}`, method, body);
    const name = type === 'application/json' ? reply : 'Problem';
    t.is(fault(name, json), undefined, JSON.stringify(json));
    if (name === 'Problem') t.is(json.error_code, 'BATCH_TOO_LARGE', JSON.stringify(json));
    t.true(status < 500);
  };
  await fc.assert(
    fc.asyncProperty(
      insert,
      search,
      fc.array(id, { maxLength: 3 }),
      async (batch, queries, ids) => {
        await check('InsertReply', 'POST', '/vectors/batch', batch);
        await check('SearchReply', 'POST', '/search/batch', queries);
        await check('DeleteReply', 'DELETE', '/vectors/batch', { vector_ids: ids, atomic: false });
        await check('GetReply', 'POST', '/vectors/get', { vector_ids: ids });
        await check('ListReply', 'POST', '/vectors/list', { limit: 3 });
      },
    ),
    { numRuns: 40, seed: 1 },
  );
  await check('CountReply', 'POST', '/vectors/count', {});
  const info = await request(path, 'GET');
  t.is(fault('CollectionInfo', info.json), undefined);
  const batches = `${url}/api/v1/batches`;
  await request(`${path}/vectors/batch`, 'POST', { vectors: [] }, { 'volley-batch-id': 'mine' });
  const progress = await request(`${batches}/mine`, 'GET');
  t.is(fault('BatchProgress', progress.json), undefined, JSON.stringify(progress.json));
  const missing = await request(`${url}/api/v1/collections/none`, 'GET');
  t.is(fault('Problem', missing.json), undefined);
});
