import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { BatchError, connect, VolleyError } from '../../src/client/index.js';
import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { served } from '../server/helpers.js';

const FAST = { retryDelayMs: 1 };

/** A server that says what a test wants it to say. */
async function scripted(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const INFO = JSON.stringify({ name: 'c', dimension: 1, embedder: null });
const OVERLOADED = JSON.stringify({
  error_code: 'OVERLOADED',
  error_message: 'no',
  retriable: true,
});

test('a failed atomic batch throws with its result, as in one process', async (t) => {
  const { url } = await served(t);
  const store = connect(url);
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
  const { url, store } = await served(t);
  const limits = await connect(url).limits();
  t.like(limits, await store.limits());
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
  t.is((await connect(url, FAST).collection('c')).dimension, 1);
  t.is(requests, 3);
  const store = connect(url, { ...FAST, retries: 1 });
  await t.throwsAsync(store.collection('c'), { code: 'OVERLOADED' });
  t.is(requests, 5);
});

test('a connection that breaks is tried again for reads only', async (t) => {
  let requests = 0;
  const url = await scripted(t, (request, response) => {
    requests += 1;
    if (request.method === 'GET' && requests > 1) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(INFO);
    } else response.destroy();
  });
  const things = await connect(url, FAST).collection('c');
  t.is(requests, 2);
  const error = await t.throwsAsync(things.insert([{ id: 'a', data: [1] }]), { code: 'CANCELLED' });
  t.regex(error?.message ?? '', /whether it was done is not known/);
  t.is(requests, 3);
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
  const store = connect(url, { requestsInFlight: 2 });
  await Promise.all(Array.from({ length: 20 }, () => store.collection('c')));
  t.true(most <= 2);
});

test('a server that is not there, or is none of ours, is told apart', async (t) => {
  const other = await scripted(t, (_, response) => response.end('<html>'));
  const error = await t.throwsAsync(connect(other).listCollections(), { code: 'INTERNAL' });
  t.regex(error?.message ?? '', /no Volley/);
  const gone = await serve(await open(':memory:'), { rest: 0 });
  await gone.close();
  const nobody = connect(gone.rest ?? '', { retries: 0 });
  await t.throwsAsync(nobody.listCollections(), { instanceOf: VolleyError, code: 'STORE_CLOSED' });
});

test('a closed client refuses', async (t) => {
  const { url } = await served(t);
  const store = connect(url);
  await store.close();
  await t.throwsAsync(store.listCollections(), { code: 'STORE_CLOSED' });
});

test('options and URLs that are none are refused', (t) => {
  for (const [url, options] of [
    ['localhost:15001', {}],
    ['ftp://localhost', {}],
    ['http://localhost', { retries: -1 }],
    ['http://localhost', { requestsInFlight: 0 }],
    ['http://localhost', { apikey: 'x' } as object],
  ] as const) {
    t.throws(() => connect(url, options), { code: 'INVALID_ARGUMENT' });
  }
});
