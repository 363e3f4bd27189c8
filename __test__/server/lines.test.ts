import test, { type ExecutionContext } from 'ava';
import { request, served, socketTo } from './helpers.js';

const TYPE = { 'content-type': 'application/x-ndjson' };

async function withThings(t: ExecutionContext) {
  const { url, store } = await served(t);
  const things = await store.createCollection('things', { dimension: 1 });
  return { url, things, path: `${url}/api/v1/collections/things/vectors/batch` };
}

const rows = (count: number, more: object = {}) =>
  Array.from({ length: count }, (_, n) => ({ id: `id ${n}`, data: [1], ...more }));

const bodyOf = (items: readonly object[]) => items.map((item) => JSON.stringify(item)).join('\n');

const repliesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('lines of one group land together or not, wherever batches end', async (t) => {
  const { path, things } = await withThings(t);
  const items: object[] = rows(1010);
  // From 995 to 1004, over the end of a batch; the last one is bad.
  for (let n = 995; n < 1005; n++) items[n] = { ...items[n], group: 'g' };
  items[1004] = { id: 'short', data: [], group: 'g' };
  // A name may be written with escapes.
  const body = bodyOf(items).replace('"group":"g"', '"\\u0067roup":"g"');
  const replies = repliesOf((await request(path, 'POST', body, TYPE)).text);
  t.deepEqual(
    replies.slice(0, -1).map(({ offset, operations }) => [offset, operations]),
    [
      [0, 995],
      [995, 15],
    ],
  );
  t.like(replies.at(-1).summary, { inserted_count: 1000, failed_count: 10 });
  t.is(await things.count(), 1000);
});

test('a group of many lines is one batch', async (t) => {
  const { path } = await withThings(t);
  const body = bodyOf(rows(1500, { group: 'g' }));
  const [only, last] = repliesOf((await request(path, 'POST', body, TYPE)).text);
  t.like(only, { offset: 0, operations: 1500 });
  t.like(last.summary, { inserted_count: 1500 });
});

test('a group that is over the bytes of a batch ends the stream', async (t) => {
  const { path, things } = await withThings(t);
  const large = { group: 'g', metadata: { text: 'x'.repeat(60_000) } };
  const body = bodyOf([{ id: 'first', data: [1] }, ...rows(150, large)]);
  const [first, last] = repliesOf((await request(path, 'POST', body, TYPE)).text);
  t.like(first, { offset: 0, operations: 1 });
  t.is(last.offset, 1);
  t.like(last.error, { error_code: 'BATCH_TOO_LARGE', field: 'group', group: 'g', unit: 'bytes' });
  t.true(last.error.actual > last.error.limit);
  t.is(await things.count(), 1);
});

test('offsets are those of the whole stream, also in its later part', async (t) => {
  const { path } = await withThings(t);
  const items = rows(2500);
  const first = `${path}?stream_id=s`;
  await request(first, 'POST', bodyOf(items.slice(0, 200)), TYPE);
  const later = `${first}&offset=200`;
  const body = `${bodyOf(items.slice(200, 1300))}\n{"id":`;
  const broken = repliesOf((await request(later, 'POST', body, TYPE)).text);
  t.deepEqual(
    broken.map(({ offset }) => offset),
    [200, 1200],
  );
  t.is(broken.at(-1).error.error_code, 'INVALID_ARGUMENT');
  const rest = bodyOf(items.slice(broken.at(-1).offset));
  const resumed = await request(`${first}&offset=1200`, 'POST', rest, TYPE);
  t.deepEqual(
    repliesOf(resumed.text).map(({ offset }) => offset),
    [1200, 2200, undefined],
  );
});

test('a deadline ends a body of lines that does not', async (t) => {
  const { url, things } = await withThings(t);
  const socket = socketTo(url);
  socket.write(
    'POST /api/v1/collections/things/vectors/batch HTTP/1.1\r\nhost: localhost\r\n' +
      'content-type: application/x-ndjson\r\nvolley-deadline-ms: 20\r\n' +
      `content-length: 1000\r\n\r\n${bodyOf(rows(1))}\n`,
  );
  let answer = '';
  for await (const piece of socket) {
    answer += piece;
    if (answer.includes('error_code')) break;
  }
  t.regex(answer, /^HTTP\/1.1 504 /);
  t.regex(answer, /"error_code":"DEADLINE_EXCEEDED"/);
  t.is(await things.count(), 0);
});

test('a header that holds for one batch alone is refused for lines', async (t) => {
  const { path, things } = await withThings(t);
  const named = await request(path, 'POST', bodyOf(rows(1)), { ...TYPE, 'volley-batch-id': 'x' });
  t.is(named.status, 501);
  t.like(named.json, { error_code: 'UNSUPPORTED', field: 'volley-batch-id' });
  const late = { ...TYPE, 'volley-deadline-ms': '0' };
  t.is((await request(path, 'POST', bodyOf(rows(1)), late)).json.error_code, 'INVALID_ARGUMENT');
  t.is(await things.count(), 0);
});
