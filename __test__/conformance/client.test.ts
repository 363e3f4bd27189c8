import test from 'ava';
import { connect } from '../../src/client/index.js';
import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { LARGE_BATCHES } from './scenario.js';
import { storeSurface } from './store-surface.js';
import { streams } from './streams.js';
import { conformance } from './suite.js';

async function openServed() {
  const store = await open(':memory:', LARGE_BATCHES);
  const server = await serve(store, { rest: 0 });
  const client = await connect(server.rest ?? '');
  const close = async () => {
    await client.close();
    await server.close();
    await store.close();
  };
  return { client, close };
}

/** The client, on a store behind REST. */
conformance(async () => {
  const { client, close } = await openServed();
  return { ...storeSurface(client), close };
});

streams(async (t) => {
  const { client, close } = await openServed();
  t.teardown(close);
  return client;
});

test('an atomic stream needs the engine in this process', async (t) => {
  const { client, close } = await openServed();
  t.teardown(close);
  const things = await client.createCollection('things', { dimension: 1 });
  const stream = things.insertStream([{ id: 'a', data: [1] }], { atomic: true });
  await t.throwsAsync(stream.summary, { code: 'UNSUPPORTED' });
  t.is(await things.count(), 0);
});
