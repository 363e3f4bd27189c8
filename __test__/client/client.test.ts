import type { ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { BatchError, connect, VolleyError } from '../../src/client/index.js';
import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { served } from '../server/helpers.js';
import { FAST, INFO, scripted, sendJson } from './helpers.js';

const OVERLOADED = JSON.stringify({
  error_code: 'OVERLOADED',
  error_message: 'no',
  retriable: true,
});

test('a failed atomic batch throws with its result, as in one process', async (t) => {
  const { url } = await served(t);
  const store = await connect(url);
  const things = await store.createCollection('things', { dimension: 2 });
  const rows = [
    { id: 'a', data: [1, 2] },
    { id: 'b', data: [1] },
  ];
  const error = await t.throwsAsync(things.insert(rows), { instanceOf: BatchError });
  t.is(error?.code, 'DIMENSION_MISMATCH');
  t.is(error?.result.errors.length, 2);
});

test('the limits of the server are told', async (t) => {
  const { url } = await served(t);
  const limits = await (await connect(url)).limits();
  t.deepEqual(limits.idBytesMax, { value: 512, unit: 'bytes' });
  t.is(limits.requestBytesMax?.unit, 'bytes');
});

test('a call that is refused for now is made again, and no oftener than told', async (t) => {
  let requests = 0;
  const url = await scripted(t, (_, response) => {
    requests += 1;
    const isTurn = requests % 3 === 0;
    const type = isTurn ? 'application/json' : 'application/problem+json';
    response.writeHead(isTurn ? 200 : 429, { 'content-type': type });
    response.end(isTurn ? INFO : OVERLOADED);
  });
  t.is((await (await connect(url, FAST)).collection('c')).dimension, 1);
  t.is(requests, 3);
  const store = await connect(url, { ...FAST, retries: 1 });
  await t.throwsAsync(store.collection('c'), { code: 'OVERLOADED' });
  t.is(requests, 5);
});

test('a write whose connection breaks is made again under the same key', async (t) => {
  const keys: unknown[] = [];
  const url = await scripted(t, async (request, response) => {
    if (request.method === 'GET') return sendJson(response, INFO);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const [line = ''] = Buffer.concat(chunks).toString('latin1').split('\n');
    keys.push(JSON.parse(line).idempotency_key);
    if (keys.length < 3) response.destroy();
    else sendJson(response, '{"inserted_count":1,"failed_count":0,"errors":[],"status":"success"}');
  });
  const things = await (await connect(url, FAST)).collection('c');
  t.is((await things.insert([{ id: 'a', data: [1] }])).insertedCount, 1);
  t.is(keys.length, 3);
  t.is(typeof keys[0], 'string');
  t.is(new Set(keys).size, 1);
  await things.insert([{ id: 'a', data: [1] }]);
  await things.insert([{ id: 'a', data: [1] }], { idempotencyKey: 'mine' });
  t.is(new Set(keys).size, 3);
  t.is(keys.at(-1), 'mine');
});

test('no more calls are under way than told', async (t) => {
  let running = 0;
  let most = 0;
  const url = await scripted(t, (_, response) => {
    running += 1;
    most = Math.max(most, running);
    setImmediate(() => {
      running -= 1;
      response.writeHead(200, { 'content-type': 'application/json' }).end(INFO);
    });
  });
  const store = await connect(url, { requestsInFlight: 2 });
  await Promise.all(Array.from({ length: 20 }, () => store.collection('c')));
  t.true(most <= 2);
});

test('a server that is not there, or is none of ours, is told apart', async (t) => {
  const other = await scripted(t, (_, response) => response.end('<html>'));
  const error = await t.throwsAsync((await connect(other)).listCollections(), { code: 'INTERNAL' });
  t.regex(error?.message ?? '', /no Volley/);
  const gone = await serve(await open(':memory:'), { rest: 0 });
  await gone.close();
  await t.throwsAsync(connect(gone.rest ?? '', { retries: 0 }), {
    instanceOf: VolleyError,
    code: 'STORE_CLOSED',
  });
});

test('a closed client refuses', async (t) => {
  const { url } = await served(t);
  const store = await connect(url);
  await store.close();
  await t.throwsAsync(store.listCollections(), { code: 'STORE_CLOSED' });
});

test('options and URLs that are none are refused', async (t) => {
  for (const [url, options] of [
    ['localhost:15001', {}],
    ['ftp://localhost', {}],
    ['http://localhost', { retries: -1 }],
    ['http://localhost', { requestsInFlight: 0 }],
    ['http://localhost', { apikey: 'x' } as object],
  ] as const) {
    await t.throwsAsync(connect(url, options), { code: 'INVALID_ARGUMENT' });
  }
});

/** Answers each insert as told: the body's ids, and what to say. */
async function insertsAnswered(
  t: ExecutionContext,
  answer: (ids: string[], response: ServerResponse) => void,
) {
  const url = await scripted(t, async (request, response) => {
    if (request.method === 'GET') return sendJson(response, INFO);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const [line = ''] = Buffer.concat(chunks).toString('latin1').split('\n');
    const { ids, vectors = [], batch_id } = JSON.parse(line);
    if (batch_id !== undefined || !request.url?.endsWith('/vectors/batch')) {
      return sendJson(response, '{}');
    }
    answer(ids ?? vectors.map(({ id }: { id: string }) => id), response);
  });
  return await (await connect(url, FAST)).collection('c');
}

const DONE = JSON.stringify({
  inserted_count: 1,
  failed_count: 0,
  errors: [],
  status: 'success',
});

const overloaded = (response: ServerResponse) => {
  response.writeHead(429, { 'content-type': 'application/problem+json' }).end(OVERLOADED);
};

test("a stream's chunks arrive one after another, in their order", async (t) => {
  let running = 0;
  const seen: string[] = [];
  const things = await insertsAnswered(t, ([id = ''], response) => {
    running += 1;
    t.is(running, 1);
    seen.push(id);
    // Others would have come by then.
    fetch(`http://127.0.0.1:${response.socket?.localPort}/api/v1/config`).then(() => {
      running -= 1;
      sendJson(response, DONE);
    });
  });
  const source = Array.from({ length: 20 }, (_, n) => ({ id: `${n}`, data: [1] }));
  await things.insertStream(source, { chunkSize: 1, parallelWorkers: 8 }).summary;
  t.deepEqual(
    seen,
    source.map(({ id }) => id),
  );
});

test('a stream is slowed by an overloaded server, not ended', async (t) => {
  let requests = 0;
  const things = await insertsAnswered(t, (_, response) => {
    requests += 1;
    // Far more often than a call is tried again.
    if (requests <= 20) overloaded(response);
    else sendJson(response, DONE);
  });
  const stream = things.insertStream([{ id: 'a', data: [1] }]);
  t.is((await stream.summary).insertedCount, 1);
  t.is(requests, 21);
});

test('a stream that an overloaded server holds up can be cancelled', async (t) => {
  let requests = 0;
  const things = await insertsAnswered(t, (_, response) => {
    requests += 1;
    overloaded(response);
    if (requests === 10) void stream.cancel();
  });
  const stream = things.insertStream([{ id: 'a', data: [1] }], { onError: 'collect' });
  const summary = await stream.summary;
  t.like(summary, { status: 'cancelled', insertedCount: 0, failedCount: 1 });
  t.is(summary.failures[0]?.error.errorCode, 'CANCELLED');
});
