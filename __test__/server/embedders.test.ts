import test, { type ExecutionContext } from 'ava';
import { type Embedder, open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { GrpcClient } from '../helpers/grpc-client.js';
import { request } from './helpers.js';

/** Counts letters: enough to tell a text from another. */
const letters: Embedder = {
  name: 'letters',
  version: '1',
  dimension: 3,
  embed: async (texts) => {
    if (texts.includes('fail')) throw new Error('no such text');
    return texts.map((text) => [...'abc'].map((letter) => text.split(letter).length - 1 + 0.01));
  },
};

async function withLetters(t: ExecutionContext, embedders: Embedder[]) {
  const store = await open(':memory:', { embedders });
  await store.createCollection('texts', { embedder: letters });
  const server = await serve(store, { rest: 0, grpc: 0 });
  t.teardown(async () => {
    await server.close();
    await store.close();
  });
  const client = await GrpcClient.connect(server.grpc ?? '');
  t.teardown(() => client.close());
  return { url: `${server.rest}/api/v1/collections/texts`, client };
}

const TEXTS = [
  { id: 'one', text: 'aaa' },
  { id: 'two', text: 'bbb' },
];

test("texts are embedded by the collection's own embedder, on every surface", async (t) => {
  const { url, client } = await withLetters(t, [letters]);
  const inserted = await request(`${url}/vectors/batch`, 'POST', { vectors: TEXTS });
  t.like(inserted.json, { inserted_count: 2, status: 'success' });
  const queries = [{ query_text: 'abb' }, { query_text: 'a' }];
  const found = await request(`${url}/search/batch`, 'POST', { queries, limit: 1 });
  const ids = (results: { results: { id: string }[] }[]) =>
    results.map((one) => one.results[0]?.id);
  t.deepEqual(ids(found.json.batch_results), ['two', 'one']);

  const again = await client.call('BatchInsertVectors', {
    collection: 'texts',
    vectors: TEXTS,
    on_conflict: 'replace',
  });
  t.like(again, { inserted_count: 2, status: 'success' });
  const asked = await client.call('BatchSearchVectors', { collection: 'texts', queries, limit: 1 });
  t.deepEqual(ids(asked.batch_results), ['two', 'one']);
});

test('what cannot be embedded fails with a code', async (t) => {
  const { url } = await withLetters(t, [letters]);
  const vectors = [...TEXTS, { id: 'bad', text: 'fail' }];
  const failed = await request(`${url}/vectors/batch`, 'POST', { vectors });
  t.is(failed.status, 502);
  t.is(failed.json.errors[0].error_code, 'EMBEDDING_FAILED');
  const bare = await withLetters(t, []);
  const missing = await request(`${bare.url}/vectors/batch`, 'POST', { vectors: TEXTS });
  t.is(missing.status, 502);
  t.regex(missing.json.errors[0].error_message, /embedded outside the engine/);
});
