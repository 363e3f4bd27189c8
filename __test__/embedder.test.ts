import test from 'ava';
import { type Embedder, type Embeddings, open, VolleyError } from '../src/index.js';
import { plain } from './helpers/records.js';

/** Embeds a text as its length and its first character. */
function embedder(embed?: (texts: string[]) => Promise<Embeddings>): Embedder {
  const vectors = async (texts: string[]) => texts.map((text) => [text.length, text.charCodeAt(0)]);
  return { name: 'simple', version: '1', dimension: 2, embed: embed ?? vectors };
}

const texts = [
  { id: 'a', text: 'apple' },
  { id: 'b', text: 'bread' },
];

test("texts of records and queries are embedded by the collection's embedder", async (t) => {
  await using store = await open(':memory:');
  const batches: string[][] = [];
  const collection = await store.createCollection('a', {
    embedder: embedder(async (given) => {
      batches.push(given);
      return given.map((text) => [text.length, text.charCodeAt(0)]);
    }),
  });
  await collection.insert([...texts, { id: 'c', data: [1, 1], text: 'not embedded' }]);
  const { batchResults } = await collection.search([{ queryText: 'apple' }], { limit: 1 });
  t.is(batchResults[0]?.results[0]?.id, 'a');
  t.deepEqual(batches, [['apple', 'bread'], ['apple']]);
  const [a] = plain(await collection.get(['a'], { include: ['data', 'text'] }));
  t.deepEqual(a, { id: 'a', data: new Float32Array([5, 97]), text: 'apple' });
  t.deepEqual((await collection.info()).embedder, { name: 'simple', version: '1' });
});

const shapes: [string, (texts: string[]) => Promise<Embeddings>][] = [
  ['typed arrays', async (given) => given.map((text) => new Float32Array([text.length, 1]))],
  ['one block', async (given) => Float32Array.from(given.flatMap((text) => [text.length, 1]))],
];

for (const [title, embed] of shapes) {
  test(`an embedder may return ${title}`, async (t) => {
    await using store = await open(':memory:');
    const collection = await store.createCollection('a', { embedder: embedder(embed) });
    await collection.insert(texts);
    const [, b] = await collection.get(['a', 'b'], { include: ['data'] });
    t.deepEqual(b?.data, new Float32Array([5, 1]));
  });
}

const failures: [string, (texts: string[]) => Promise<Embeddings>, RegExp][] = [
  ['a rejection', () => Promise.reject(new Error('no model')), /no model/],
  ['too few vectors', async () => [[1, 2]], /1 vectors/],
  ['vectors of another dimension', async () => [[1], [2]], /2 numbers/],
  ['something else', async () => 'vectors' as never, /a string/],
  [
    'text among the numbers',
    async () => [
      [1, '2' as never],
      [3, 4],
    ],
    /a string at 1/,
  ],
];

for (const [title, embed, reason] of failures) {
  test(`${title} from the embedder fails the call, and nothing is written`, async (t) => {
    await using store = await open(':memory:');
    const collection = await store.createCollection('a', { embedder: embedder(embed) });
    const error = await t.throwsAsync(collection.insert(texts), { instanceOf: VolleyError });
    t.is(error?.code, 'EMBEDDING_FAILED');
    t.regex(String(error?.cause), reason);
    t.is(await collection.count(), 0);
  });
}

test('a collection refuses an embedder that is not its own', async (t) => {
  await using store = await open(':memory:');
  await store.createCollection('a', { embedder: embedder() });
  await store.createCollection('none', { dimension: 2 });
  await t.notThrowsAsync(store.collection('a', { embedder: embedder() }));
  const attempts: [string, Embedder][] = [
    ['a', { ...embedder(), version: '2' }],
    ['a', { ...embedder(), name: 'other' }],
    ['none', embedder()],
  ];
  for (const [name, other] of attempts) {
    const error = await t.throwsAsync(store.collection(name, { embedder: other }), {
      instanceOf: VolleyError,
    });
    t.is(error?.code, 'INVALID_ARGUMENT');
    t.is(error?.details.field, 'embedder');
  }
});

test('without its embedder a collection takes vectors only', async (t) => {
  await using store = await open(':memory:');
  await store.createCollection('a', { embedder: embedder() });
  const collection = await store.collection('a');
  await collection.insert([{ id: 'v', data: [1, 2] }]);
  const error = await t.throwsAsync(collection.insert(texts), { instanceOf: VolleyError });
  t.is(error?.code, 'EMBEDDING_FAILED');
  t.regex(String(error?.cause), /give the embedder to store\.collection/);
});

test('what is no embedder is refused', async (t) => {
  await using store = await open(':memory:');
  const attempts: [unknown, RegExp][] = [
    [null, /null/],
    [7, /a number/],
    [{ ...embedder(), name: '' }, /embedder\.name/],
    [{ ...embedder(), version: undefined }, /embedder\.version/],
    [{ ...embedder(), dimension: 1.5 }, /embedder\.dimension/],
    [{ ...embedder(), embed: 'model' }, /embedder\.embed/],
  ];
  for (const [given, message] of attempts) {
    const attempt = store.createCollection('a', { embedder: given as Embedder });
    const error = await t.throwsAsync(attempt, { instanceOf: VolleyError, message });
    t.is(error?.code, 'INVALID_ARGUMENT');
  }
  const mismatch = store.createCollection('a', { dimension: 3, embedder: embedder() });
  await t.throwsAsync(mismatch, { message: /dimension is 3.*2 numbers/ });
});

test('the lexical embedder is built in', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('a', { dimension: 64, embedder: 'lexical' });
  await collection.insert(texts);
  const { batchResults } = await collection.search([{ queryText: 'bread' }], { limit: 1 });
  t.is(batchResults[0]?.results[0]?.text, 'bread');
});

test('an atomic search whose texts cannot be embedded fails as a whole', async (t) => {
  await using store = await open(':memory:', { batchOperations: { errorRetryAttempts: 0 } });
  const broken = embedder(() => Promise.reject(new Error('no model')));
  const collection = await store.createCollection('a', { embedder: broken });
  await collection.insert([{ id: 'a', data: [1, 1] }]);
  const queries = [{ queryVector: [1, 1] }, { queryText: 'apple' }];
  const each = await collection.search(queries);
  t.deepEqual(
    each.batchResults.map(({ status }) => status),
    ['success', 'failed'],
  );
  const all = await collection.search(queries, { atomic: true, onError: 'collect' });
  t.deepEqual(
    all.errors.map(({ errorCode }) => errorCode),
    ['BATCH_ABORTED', 'EMBEDDING_FAILED'],
  );
});

test('a preview asks no embedder', async (t) => {
  await using store = await open(':memory:');
  let calls = 0;
  const counting = embedder(async (given) => {
    calls += 1;
    return given.map(() => [1, 1]);
  });
  const collection = await store.createCollection('a', { embedder: counting });
  const rows = [...texts, { id: 'a', text: 'again' }];
  const preview = await collection.insert(rows, { validateOnly: true, atomic: false });
  t.like(preview, { status: 'partial', insertedCount: 2, failedCount: 1 });
  t.is(calls, 0);
  t.is(await collection.count(), 0);
});

test('a replayed batch embeds, logs and folds nothing', async (t) => {
  await using store = await open(':memory:');
  let calls = 0;
  const collection = await store.createCollection('a', {
    embedder: embedder(async (given) => {
      calls += 1;
      return given.map((text) => [text.length, 1]);
    }),
  });
  const options = { idempotencyKey: 'key' };
  await collection.insert(texts, options);
  await collection.indexed();
  const before = await collection.info();
  t.true((await collection.insert(texts, options)).replayed);
  await collection.indexed();
  t.deepEqual(await collection.info(), before);
  t.is(calls, 1);
});

test('many rejected embeddings are tried as often as the store says', async (t) => {
  await using store = await open(':memory:', {
    batchOperations: { errorRetryAttempts: 2, errorRetryDelayMs: 0 },
  });
  let calls = 0;
  const flaky = embedder(async (given) => {
    calls += 1;
    if (calls < 3) throw new Error('busy');
    return given.map(() => [1, 1]);
  });
  const collection = await store.createCollection('a', { embedder: flaky });
  t.is((await collection.insert(texts)).insertedCount, 2);
  t.is(calls, 3);
  const never = embedder(() => {
    calls += 1;
    return Promise.reject(Object.assign(new Error('wrong key'), { retriable: false }));
  });
  const other = await store.createCollection('b', { embedder: never });
  const error = await t.throwsAsync(other.insert(texts), { instanceOf: VolleyError });
  t.is(error?.details.attempts, 1);
  t.is(calls, 4);
});
