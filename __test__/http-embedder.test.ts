import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { loadConfiguration, open, openAiEmbedder, VolleyError } from '../src/index.js';
import { temporaryDirectory } from './helpers/directory.js';

interface Asked {
  readonly input: string[];
  readonly model: string;
  readonly authorization: string | undefined;
}

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** A server that speaks the embeddings API; a text's vector is its length and its first letter. */
async function serve(t: ExecutionContext, answers: Answer[] = []) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const { input, model } = JSON.parse(await textOf(request)) as Asked;
    asked.push({ input, model, authorization: request.headers.authorization });
    const { status = 200, headers = {}, body } = answers.shift() ?? {};
    // In another order than asked for: the index tells.
    const data = input
      .map((text, index) => ({ index, embedding: [text.length, text.charCodeAt(0)] }))
      .reverse();
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body ?? { data }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return { url, asked };
}

const options = { model: 'tiny', dimension: 2, apiKey: 'secret' };
const fast = { batchOperations: { errorRetryDelayMs: 0, errorRetryAttempts: 2 } };

test('texts are embedded in batches, whatever the order of the answer', async (t) => {
  const { url, asked } = await serve(t);
  await using store = await open(':memory:');
  const embedder = openAiEmbedder({ ...options, url, batchSize: 2 });
  const collection = await store.createCollection('a', { embedder });
  const texts = ['one', 'three', 'seven'].map((text) => ({ id: text, text }));
  await collection.insert(texts);
  const found = await collection.get(['one', 'three', 'seven'], { include: ['data'] });
  t.deepEqual(
    found.map((record) => [...(record?.data ?? [])]),
    [
      [3, 111],
      [5, 116],
      [5, 115],
    ],
  );
  t.deepEqual(asked, [
    { input: ['one', 'three'], model: 'tiny', authorization: 'Bearer secret' },
    { input: ['seven'], model: 'tiny', authorization: 'Bearer secret' },
  ]);
  t.deepEqual((await collection.info()).embedder, { name: 'tiny', version: '1' });
});

test('what may pass is tried again, what may not is told at once', async (t) => {
  const { url, asked } = await serve(t, [
    { status: 503, body: { error: 'loading' } },
    { status: 429, body: { error: 'slow down' } },
    {},
    { status: 401, body: { error: 'no such key' } },
  ]);
  await using store = await open(':memory:', fast);
  const collection = await store.createCollection('a', {
    embedder: openAiEmbedder({ ...options, url }),
  });
  t.is((await collection.insert([{ id: 'a', text: 'a' }])).insertedCount, 1);
  t.is(asked.length, 3);
  const error = await t.throwsAsync(collection.insert([{ id: 'b', text: 'b' }]), {
    instanceOf: VolleyError,
  });
  t.is(error?.code, 'EMBEDDING_FAILED');
  t.is(error?.details.attempts, 1);
  t.regex(error?.message ?? '', /401: .*no such key/);
  t.is(asked.length, 4);
});

test('answers that are not what was asked for fail the texts', async (t) => {
  const bodies: unknown[] = [
    { data: [] },
    { data: [{ index: 0, embedding: [1] }] },
    { data: [{ index: 5, embedding: [1, 2] }] },
    {},
    [1],
  ];
  const { url } = await serve(
    t,
    bodies.map((body) => ({ body })),
  );
  await using store = await open(':memory:', fast);
  const collection = await store.createCollection('a', {
    embedder: openAiEmbedder({ ...options, url }),
  });
  for (const _ of bodies) {
    const error = await t.throwsAsync(collection.insert([{ id: 'a', text: 'a' }]), {
      instanceOf: VolleyError,
    });
    t.is(error?.code, 'EMBEDDING_FAILED');
  }
  t.is(await collection.count(), 0);
});

test('a server that is not there fails the texts, after all tries', async (t) => {
  await using store = await open(':memory:', fast);
  const embedder = openAiEmbedder({ ...options, url: 'http://127.0.0.1:9/v1' });
  const collection = await store.createCollection('a', { embedder });
  const call = collection.insert([{ id: 'a', text: 'a' }]);
  const error = await t.throwsAsync(call, { instanceOf: VolleyError });
  t.like(error, { code: 'EMBEDDING_FAILED', details: { attempts: 3 } });
});

test('an embedder is chosen by configuration, and its collection finds it again', async (t) => {
  const { url, asked } = await serve(t);
  const directory = temporaryDirectory(t);
  const file = join(directory, 'volley.yaml');
  writeFileSync(
    file,
    `embedders:\n  mine: {kind: openai, url: "${url}", model: tiny, dimension: 2, version: "7"}\n`,
  );
  const path = join(directory, 'data');
  for (const create of [true, false]) {
    await using store = await open(path, await loadConfiguration({ file, environment: {} }));
    const collection = create
      ? await store.createCollection('a', { embedder: 'mine' })
      : await store.collection('a');
    t.deepEqual((await collection.info()).embedder, { name: 'mine', version: '7' });
    await collection.upsert([{ id: 'a', text: 'apple' }]);
    await t.throwsAsync(store.createCollection('b', { embedder: 'other' }), {
      instanceOf: VolleyError,
      message: /known are lexical, mine/,
    });
  }
  t.is(asked.length, 2);
});

test('options that make no embedder are refused', (t) => {
  for (const [bad, field] of [
    [{ model: '' }, 'model'],
    [{ dimension: 0 }, 'dimension'],
    [{ url: 'nowhere' }, 'url'],
    [{ batchSize: 0 }, 'batchSize'],
  ] as const) {
    const error = t.throws(() => openAiEmbedder({ ...options, ...bad }), {
      instanceOf: VolleyError,
    });
    t.is(error?.details.field, field);
  }
});
