import test from 'ava';
import { type Embedder, open, VolleyError } from '../src/index.js';

/** An embedder that says when it was asked, and answers when it is told. */
function patient(listens: boolean) {
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const embedder: Embedder = {
    name: 'patient',
    version: '1',
    dimension: 2,
    embed: (_, { signal }) => {
      asked();
      return new Promise((_resolve, reject) => {
        if (listens) signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
  };
  return { embedder, isAsked };
}

const texts = [{ id: 'a', text: 'apple' }];

for (const [title, listens] of [
  ['that listens to its signal', true],
  ['that does not listen', false],
] as const) {
  test(`a call is cancelled while it waits for an embedder ${title}`, async (t) => {
    await using store = await open(':memory:');
    const { embedder, isAsked } = patient(listens);
    const collection = await store.createCollection('a', { embedder });
    const controller = new AbortController();
    const { signal } = controller;
    const call = collection.insert(texts, { signal, atomic: false, idempotencyKey: 'key' });
    await isAsked;
    controller.abort(new Error('enough'));
    const error = await t.throwsAsync(call, { instanceOf: VolleyError });
    t.is(error?.code, 'CANCELLED');
    t.true(error?.retriable);
    t.is(await collection.count(), 0);
    // The key was not used up, and is free again.
    const data = { id: 'a', data: [1, 2] };
    t.is((await collection.insert([data], { idempotencyKey: 'key' })).replayed, false);
  });

  test(`a deadline passes while a call waits for an embedder ${title}`, async (t) => {
    await using store = await open(':memory:');
    const collection = await store.createCollection('a', { embedder: patient(listens).embedder });
    const call = collection.insert(texts, { deadlineMs: 15, atomic: false });
    const error = await t.throwsAsync(call, { instanceOf: VolleyError });
    t.is(error?.code, 'DEADLINE_EXCEEDED');
    t.is(await collection.count(), 0);
  });
}

test('a search is cancelled while it waits for an embedder', async (t) => {
  await using store = await open(':memory:');
  const { embedder, isAsked } = patient(false);
  const collection = await store.createCollection('a', { embedder });
  const controller = new AbortController();
  const call = collection.search([{ queryText: 'apple' }], { signal: controller.signal });
  await isAsked;
  controller.abort();
  t.is((await t.throwsAsync(call, { instanceOf: VolleyError }))?.code, 'CANCELLED');
});

test('a call whose signal is aborted already is not made', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  const reason = new Error('too late');
  const signal = AbortSignal.abort(reason);
  const call = collection.insert([{ id: 'a', data: [1, 2] }], { signal });
  const error = await t.throwsAsync(call, { instanceOf: VolleyError });
  t.like(error, { code: 'CANCELLED', cause: reason });
  t.is(await collection.count(), 0);
});

test('a signal that is aborted after the commit changes nothing', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  const controller = new AbortController();
  const { signal } = controller;
  const result = await collection.insert([{ id: 'a', data: [1, 2] }], { signal });
  controller.abort();
  t.is(result.insertedCount, 1);
  t.like(await store.batch(result.batchId), { status: 'success', applied: 1, failed: 0 });
});

test('a wait for the graph that runs out of time has the level that was reached', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 64 });
  const ids = Array.from({ length: 6000 }, (_, n) => `row ${n}`);
  const data = Float32Array.from({ length: 6000 * 64 }, (_, n) => Math.sin(n));
  const options = { waitFor: 'indexed', onConflict: 'replace', deadlineMs: 60_000 } as const;
  const patientResult = await collection.insert({ ids, data }, options);
  t.is(patientResult.reached, 'indexed');
  // Aborted at once: either before the commit, or the true result comes, whatever its level.
  const controller = new AbortController();
  const call = collection.insert({ ids, data }, { ...options, signal: controller.signal });
  controller.abort();
  const result = await call.catch((error: VolleyError) => error);
  if (result instanceof VolleyError) t.is(result.code, 'CANCELLED');
  else t.true(result.insertedCount === 6000 && result.reached !== 'durable');
});

test('bad signals and deadlines are refused', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  for (const options of [{ signal: {} as AbortSignal }, { deadlineMs: 0 }, { deadlineMs: '1' }]) {
    const call = collection.insert([], options as never);
    const error = await t.throwsAsync(call, { instanceOf: VolleyError });
    t.is(error?.code, 'INVALID_ARGUMENT');
    t.is(error?.details.field, Object.keys(options)[0]);
  }
});

test('many calls with one signal leave no listeners behind', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 2 });
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners += 1;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners -= 1;
    removeEventListener.apply(signal, args);
  };
  for (let n = 0; n < 50; n++) {
    await collection.insert([{ id: `row ${n}`, data: [1, 2] }], { signal });
  }
  t.is(listeners, 0);
});
