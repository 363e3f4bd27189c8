import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import test, { type ExecutionContext } from 'ava';
import { type OpenOptions, open, type Store } from '../../src/index.js';
import type { RequestLog, ServeOptions } from '../../src/server/index.js';
import { temporaryDirectory } from '../helpers/directory.js';
import { served } from './helpers.js';

// biome-ignore lint/suspicious/noExplicitAny: results of every tool.
type Result = any;

/** `auto` speaks the newest version that the server knows; `legacy` one with sessions. */
const newClient = (mode: 'legacy' | 'auto' = 'legacy') =>
  new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });

async function overHttp(
  t: ExecutionContext,
  options: ServeOptions = {},
  storeOptions: OpenOptions = {},
  client = newClient(),
) {
  const { store, server } = await served(t, { rest: 0, mcp: true, ...options }, storeOptions);
  await client.connect(new StreamableHTTPClientTransport(new URL(server.mcp ?? '')));
  t.teardown(() => client.close());
  return { client, store, url: server.mcp ?? '' };
}

async function call(client: Client, name: string, given: object, options = {}): Promise<Result> {
  return await client.callTool({ name, arguments: given as Record<string, unknown> }, options);
}

/** Progress and total of every report that reaches a client from now on. */
function progressOf(client: Client): [number, number | undefined][] {
  const seen: [number, number | undefined][] = [];
  const { transport } = client;
  const dispatch = transport?.onmessage;
  if (transport === undefined || dispatch === undefined) throw new Error('not connected');
  transport.onmessage = (message, extra) => {
    if ('method' in message && message.method === 'notifications/progress') {
      const { progress, total } = message.params as { progress: number; total?: number };
      seen.push([progress, total]);
    }
    dispatch(message, extra);
  };
  return seen;
}

/** What every transport must do. */
async function useTools(t: ExecutionContext, client: Client): Promise<void> {
  const { tools } = await client.listTools();
  t.deepEqual(tools.map(({ name }) => name).sort(), [
    'batch_delete_vectors',
    'batch_insert_texts',
    'batch_insert_vectors',
    'batch_search_vectors',
    'batch_update_vectors',
    'create_collection',
    'list_collections',
  ]);
  for (const { description, outputSchema } of tools) {
    t.regex(description ?? '', /Example/);
    t.is(outputSchema?.type, 'object');
  }
  await call(client, 'create_collection', { name: 'papers', embedder: 'lexical', dimension: 64 });
  const texts = [
    { id: 'worms', text: 'Giant worms guard the spice', metadata: { year: 1965 } },
    { id: 'dublin', text: 'One day in the streets of Dublin', metadata: { year: 1922 } },
  ];
  const seen = progressOf(client);
  // The client asks for progress because somebody listens, but drops what comes with the result.
  const inserted = await call(
    client,
    'batch_insert_texts',
    { collection: 'papers', texts },
    { onprogress: () => {} },
  );
  t.falsy(inserted.isError);
  t.like(inserted.structuredContent, { inserted_count: 2, status: 'success' });
  t.deepEqual(JSON.parse(inserted.content[0].text), inserted.structuredContent);
  t.deepEqual(seen[0], [0, 4]);
  t.true(seen.every(([progress], index) => progress > (seen[index - 1]?.[0] ?? -1)));
  const found = await call(client, 'batch_search_vectors', {
    collection: 'papers',
    queries: [{ query_text: 'worms' }, { query_text: 'Dublin', filters: { year: { $gt: 1950 } } }],
    limit: 1,
  });
  const [first, second] = found.structuredContent.batch_results;
  t.is(first.results[0].id, 'worms');
  t.is(second.results[0].metadata.year, 1965);
  const listed = await call(client, 'list_collections', {});
  t.like(listed.structuredContent.collections[0], { name: 'papers', count: 2 });
}

for (const mode of ['legacy', 'auto'] as const) {
  test(`a client uses the tools over HTTP, version: ${mode}`, async (t) => {
    const { client } = await overHttp(t, {}, {}, newClient(mode));
    await useTools(t, client);
  });
}

test('a client uses the tools over standard input and output', async (t) => {
  const data = join(temporaryDirectory(t), 'data');
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const loader = createRequire(import.meta.url).resolve('tsx');
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [`--import=${loader}`, main, 'mcp', '--data', data],
  });
  const client = newClient();
  t.teardown(() => client.close());
  await client.connect(transport);
  await useTools(t, client);
  await client.close();
  const store = await open(data);
  t.is(await (await store.collection('papers')).count(), 2);
  await store.close();
});

async function things(store: Store) {
  return await store.createCollection('things', { dimension: 2 });
}

test('a failed batch is an error with its list; a refused one has its code', async (t) => {
  const { client, store } = await overHttp(t);
  const collection = await things(store);
  const vectors = [
    { id: 'a', data: [1, 2] },
    { id: 'b', data: [1] },
  ];
  const failed = await call(client, 'batch_insert_vectors', { collection: 'things', vectors });
  t.true(failed.isError);
  t.like(failed.structuredContent, { status: 'failed', failed_count: 2 });
  t.is(failed.structuredContent.errors[1].error_code, 'DIMENSION_MISMATCH');
  const partial = await call(client, 'batch_insert_vectors', {
    collection: 'things',
    vectors,
    atomic: false,
  });
  t.falsy(partial.isError);
  t.is(partial.structuredContent.status, 'partial');
  for (const [name, given, code] of [
    ['batch_delete_vectors', { collection: 'none', vector_ids: [] }, 'COLLECTION_NOT_FOUND'],
    ['batch_delete_vectors', { collection: 'things', ids: [] }, 'INVALID_ARGUMENT'],
    ['batch_delete_vectors', {}, 'INVALID_ARGUMENT'],
    ['batch_insert_texts', { collection: 'things', texts: 'a' }, 'INVALID_ARGUMENT'],
    [
      'batch_insert_texts',
      { collection: 'things', texts: [{ id: 'a', data: [1, 2] }] },
      'INVALID_ARGUMENT',
    ],
    [
      'batch_search_vectors',
      { collection: 'things', queries: Array(101).fill({}) },
      'BATCH_TOO_LARGE',
    ],
    ['drop_everything', {}, 'UNSUPPORTED'],
  ] as const) {
    const refused = await call(client, name, given);
    t.true(refused.isError, name);
    t.is(JSON.parse(refused.content[0].text).error.error_code, code);
  }
  t.is(await collection.count(), 1);
});

test('a long result is cut to what a model can read, and says so', async (t) => {
  const { client, store } = await overHttp(t);
  const collection = await things(store);
  const long = 'word '.repeat(2000);
  await collection.insert(
    Array.from({ length: 50 }, (_, n) => ({ id: `${n}`, data: [n + 1, 1], text: long })),
  );
  const queries = Array.from({ length: 10 }, () => ({ query_vector: [1, 1], limit: 50 }));
  const { structuredContent } = await call(client, 'batch_search_vectors', {
    collection: 'things',
    queries,
  });
  t.true(JSON.stringify(structuredContent).length <= 24_000);
  t.is(structuredContent.batch_results.length, 10);
  t.is(structuredContent.total_queries, 10);
  t.true(structuredContent.truncated.elements_kept_of_each_list > 0);
});

test('a call that is cancelled before it began does nothing', async (t) => {
  const { client, store } = await overHttp(t);
  const collection = await things(store);
  const given = { collection: 'things', vectors: [{ id: 'a', data: [1, 2] }] };
  const signal = AbortSignal.abort();
  await t.throwsAsync(call(client, 'batch_insert_vectors', given, { signal }));
  t.is(await collection.count(), 0);
});

/** An embedder that embeds when it is told to. */
function slowEmbedder() {
  let began = () => {};
  let finish = () => {};
  const asked = new Promise<void>((resolve) => {
    began = resolve;
  });
  const told = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const embedder = {
    name: 'slow',
    version: '1',
    dimension: 2,
    embed: async (texts: string[]) => {
      began();
      await told;
      return texts.map(() => [1, 2]);
    },
  };
  return { embedder, asked, finish };
}

const texts = [
  { id: 'a', text: 'one' },
  { id: 'b', text: 'two' },
];

test('a long call tells what has been received before it is done', async (t) => {
  const { embedder, finish } = slowEmbedder();
  const { client, store } = await overHttp(t, {}, { embedders: [embedder] });
  await store.createCollection('papers', { embedder });
  const seen: [number, number | undefined][] = [];
  const given = { collection: 'papers', texts };
  const inserted = await call(client, 'batch_insert_texts', given, {
    onprogress: ({ progress, total }: { progress: number; total?: number }) => {
      seen.push([progress, total]);
      if (progress === 2) finish();
    },
  });
  t.is(inserted.structuredContent.inserted_count, 2);
  t.deepEqual(seen.slice(0, 2), [
    [0, 4],
    [2, 4],
  ]);
});

test('a call that is cancelled while it runs ends with nothing done', async (t) => {
  const { embedder, asked } = slowEmbedder();
  let end = (_: string) => {};
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  const log = ({ request, code }: RequestLog) => {
    if (request === 'batch_insert_texts') end(code);
  };
  const embedders = [embedder];
  const { client, store } = await overHttp(t, { log }, { embedders }, newClient('auto'));
  const collection = await store.createCollection('papers', { embedder });
  const cancelled = new AbortController();
  const given = { collection: 'papers', texts };
  const insert = call(client, 'batch_insert_texts', given, { signal: cancelled.signal });
  await asked;
  cancelled.abort();
  await t.throwsAsync(insert);
  // The embedder never answers.
  t.is(await ended, 'CANCELLED');
  t.is(await collection.count(), 0);
});

test('strangers and pages under other names are turned away', async (t) => {
  const sha256 = createHash('sha256').update('secret').digest('hex');
  const keys = [{ name: 'me', sha256, scopes: ['read' as const] }];
  const { server } = await served(t, { rest: 0, mcp: true, keys });
  const url = new URL(server.mcp ?? '');
  const stranger = newClient();
  await t.throwsAsync(stranger.connect(new StreamableHTTPClientTransport(url)));
  const client = newClient();
  const requestInit = { headers: { authorization: 'Bearer secret' } };
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  t.teardown(() => client.close());
  t.falsy((await call(client, 'list_collections', {})).isError);
  const denied = await call(client, 'create_collection', { name: 'a', dimension: 1 });
  t.is(JSON.parse(denied.content[0].text).error.error_code, 'PERMISSION_DENIED');

  const open = await served(t, { rest: 0, mcp: true });
  const status = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const attempt = httpRequest(
        open.server.mcp ?? '',
        { method: 'POST', headers },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      attempt.on('error', reject);
      attempt.end('{}');
    });
  t.is(await status({ host: 'rebound.example' }), 403);
  t.is(await status({ origin: 'https://rebound.example' }), 403);
  t.not(await status({ origin: 'http://localhost:3000' }), 403);
});
