import type { ServerResponse } from 'node:http';
import test from 'ava';
import { connect } from '../../src/client/index.js';
import { type Embedder, open } from '../../src/index.js';
import { restHandler, Service } from '../../src/server/index.js';
import { request } from '../server/helpers.js';
import { FAST, INFO, isInsert, listening, refuse, scripted, sendJson } from './helpers.js';

const ROWS = [{ id: 'a', data: [1] }];
const DONE = JSON.stringify({
  inserted_count: 1,
  failed_count: 0,
  errors: [],
  status: 'success',
});

for (const [title, code, deadlineMs] of [
  ['cancelled', 'CANCELLED', undefined],
  ['late', 'DEADLINE_EXCEEDED', 15],
] as const) {
  test(`a call that is ${title} ends at the server, and is not made again`, async (t) => {
    const controller = new AbortController();
    let batch = '';
    let tries = 0;
    const embedder: Embedder = {
      name: 'busy',
      version: '1',
      dimension: 1,
      // Until the call was stopped; a second call would be answered.
      embed: async (texts) => {
        if (deadlineMs === undefined) controller.abort();
        let progress = { status: 'running' };
        while (progress.status === 'running') progress = (await request(batch, 'GET')).json;
        return texts.map(() => [1]);
      },
    };
    await using store = await open(':memory:', { embedders: [embedder] });
    const texts = await store.createCollection('texts', { embedder });
    const handler = restHandler(new Service(store));
    const url = await listening(t, (incoming, response) => {
      if (isInsert(incoming)) {
        tries += 1;
        batch = `${url}/api/v1/batches/${incoming.headers['volley-batch-id']}`;
      }
      void handler(incoming, response);
    });
    const client = await connect(url, FAST);
    const remote = await client.collection('texts');
    const options = deadlineMs === undefined ? { signal: controller.signal } : { deadlineMs };
    await t.throwsAsync(remote.insert([{ id: 'a', text: 'apple' }], options), { code });
    t.is(tries, 1);
    t.is(await texts.count(), 0);
  });
}

test('a cancellation goes past a busy client, again where the call is not known yet', async (t) => {
  const controller = new AbortController();
  let held: ServerResponse | undefined;
  let tries = 0;
  let cancels = 0;
  const url = await scripted(t, (incoming, response) => {
    if (incoming.method === 'DELETE') {
      cancels += 1;
      if (cancels < 3) return refuse(response, 404, 'NOT_FOUND');
      sendJson(response, '{}');
      if (held !== undefined) refuse(held, 499, 'CANCELLED');
    } else if (isInsert(incoming)) {
      tries += 1;
      held = response;
      controller.abort();
    } else sendJson(response, INFO);
  });
  const store = await connect(url, { ...FAST, requestsInFlight: 1 });
  const things = await store.collection('c');
  const { signal } = controller;
  await t.throwsAsync(things.insert(ROWS, { signal }), { code: 'CANCELLED' });
  t.is(cancels, 3);
  t.is(tries, 1);
});

test('a call that waits for its turn is cancelled without being made', async (t) => {
  const made: unknown[] = [];
  let release = () => {};
  let arrived = () => {};
  const isHeld = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const url = await scripted(t, (incoming, response) => {
    if (incoming.method === 'DELETE') return refuse(response, 404, 'NOT_FOUND');
    if (!isInsert(incoming)) return sendJson(response, INFO);
    made.push(incoming.headers['volley-batch-id']);
    release = () => sendJson(response, DONE);
    arrived();
  });
  const store = await connect(url, { ...FAST, requestsInFlight: 1 });
  const things = await store.collection('c');
  const first = things.insert(ROWS);
  await isHeld;
  const controller = new AbortController();
  const second = things.insert(ROWS, { signal: controller.signal });
  controller.abort();
  await t.throwsAsync(second, { code: 'CANCELLED' });
  release();
  t.is((await first).insertedCount, 1);
  t.is(made.length, 1);
});

test('a cancelled call is not made again after a pause', async (t) => {
  const controller = new AbortController();
  let tries = 0;
  const url = await scripted(t, (incoming, response) => {
    if (incoming.method === 'DELETE') return refuse(response, 404, 'NOT_FOUND');
    if (!isInsert(incoming)) return sendJson(response, INFO);
    tries += 1;
    if (tries === 2) controller.abort();
    refuse(response, 429, 'OVERLOADED');
  });
  const things = await (await connect(url, { retryDelayMs: 1, retries: 1000 })).collection('c');
  const { signal } = controller;
  await t.throwsAsync(things.insert(ROWS, { signal }), { code: 'CANCELLED' });
  const triesThen = tries;
  t.true(triesThen < 1000);
  await things.info();
  t.is(tries, triesThen);
});

test('one deadline holds for all tries of a call', async (t) => {
  const told: number[] = [];
  const url = await scripted(t, (incoming, response) => {
    if (!isInsert(incoming)) return sendJson(response, INFO);
    told.push(Number(incoming.headers['volley-deadline-ms']));
    if (told.length < 3) refuse(response, 429, 'OVERLOADED');
    else refuse(response, 504, 'DEADLINE_EXCEEDED');
  });
  const things = await (await connect(url, FAST)).collection('c');
  const call = things.insert(ROWS, { deadlineMs: 60_000 });
  await t.throwsAsync(call, { code: 'DEADLINE_EXCEEDED' });
  t.is(told.length, 3);
  const [first = 0, second = 0, third = 0] = told;
  t.true(first <= 60_000 && second < first && third < second && third > 0, `${told}`);
});

test('a deadline ends the tries of a call that is always refused', async (t) => {
  const url = await scripted(t, (incoming, response) => {
    if (isInsert(incoming)) refuse(response, 429, 'OVERLOADED');
    else sendJson(response, INFO);
  });
  const store = await connect(url, { retryDelayMs: 1, retries: 1_000_000 });
  const things = await store.collection('c');
  await t.throwsAsync(things.insert(ROWS, { deadlineMs: 20 }), { code: 'DEADLINE_EXCEEDED' });
});

for (const title of ['cancel()', 'its signal'] as const) {
  test(`a stream that ${title} stops when all is committed waits no longer, and succeeds`, async (t) => {
    let isWaiting = () => {};
    const waits = new Promise<void>((resolve) => {
      isWaiting = resolve;
    });
    const url = await scripted(t, (incoming, response) => {
      // The graph is never done.
      if (incoming.url?.endsWith('/indexed')) isWaiting();
      else sendJson(response, isInsert(incoming) ? DONE : INFO);
    });
    const things = await (await connect(url, FAST)).collection('c');
    const controller = new AbortController();
    const { signal } = controller;
    const stream = things.insertStream(ROWS, { signal, waitFor: 'indexed' });
    await waits;
    if (title === 'cancel()') void stream.cancel();
    else controller.abort();
    const summary = await stream.summary;
    t.like(summary, { status: 'success', insertedCount: 1, failedCount: 0, reached: 'applied' });
    t.is(summary.error, undefined);
  });
}
