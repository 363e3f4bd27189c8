import { gunzipSync, gzipSync } from 'node:zlib';
import test from 'ava';
import { request, served } from './helpers.js';

const things = (url: string) => `${url}/api/v1/collections/things`;

async function withThings(t: Parameters<typeof served>[0], options?: Parameters<typeof served>[1]) {
  const { url, ...rest } = await served(t, options);
  await request(`${url}/api/v1/collections`, 'POST', { name: 'things', dimension: 2 });
  return { url, ...rest };
}

const rows = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => ({ id: `id ${from + n}`, data: [n + 1, 1] }));

test('collections are made, described, listed and dropped', async (t) => {
  const { url } = await served(t);
  const path = `${url}/api/v1/collections`;
  const made = await request(path, 'POST', { name: 'things', dimension: 2 });
  t.is(made.status, 201);
  t.like(made.json, { name: 'things', dimension: 2, metric: 'cosine', count: 0 });
  t.deepEqual((await request(path, 'GET')).json.collections[0], made.json);
  t.deepEqual((await request(`${path}/things`, 'GET')).json, made.json);
  t.deepEqual((await request(`${path}/things`, 'DELETE')).json, {});
  const gone = await request(`${path}/things`, 'GET');
  t.is(gone.status, 404);
  t.is(gone.type, 'application/problem+json');
  t.like(gone.json, { error_code: 'COLLECTION_NOT_FOUND', status: 404, retriable: false });
});

test('the four batch endpoints of the specification', async (t) => {
  const { url } = await withThings(t);
  const inserted = await request(`${things(url)}/vectors/batch`, 'POST', { vectors: rows(3) });
  t.is(inserted.status, 200);
  t.like(inserted.json, { inserted_count: 3, failed_count: 0, errors: [], status: 'success' });
  const updates = [{ id: 'id 0', metadata: { year: 2024, authors: ['a', 'b'] } }];
  const updated = await request(`${things(url)}/vectors/batch`, 'PUT', { updates });
  t.like(updated.json, { updated_count: 1, status: 'success' });
  const deleted = await request(`${things(url)}/vectors/batch`, 'DELETE', { vector_ids: ['id 1'] });
  t.like(deleted.json, { deleted_count: 1, status: 'success' });
  const found = await request(`${things(url)}/search/batch`, 'POST', {
    queries: [{ query_vector: [1, 1], limit: 5, filters: { year: { $gt: 2000 } } }],
  });
  t.like(found.json, { total_queries: 1, successful_queries: 1, failed_queries: 0, errors: [] });
  t.like(found.json.batch_results[0], { query_id: 'query_1', status: 'success' });
  t.deepEqual(found.json.batch_results[0].results[0].metadata, updates[0]?.metadata);
});

test('a failed atomic batch has its body and the status of its first failure', async (t) => {
  const { url } = await withThings(t);
  const path = `${things(url)}/vectors/batch`;
  await request(path, 'POST', { vectors: rows(1) });
  const failed = await request(path, 'POST', { vectors: [...rows(1, 9), ...rows(1)] });
  t.is(failed.status, 409);
  t.is(failed.type, 'application/json');
  t.like(failed.json, { status: 'failed', failed_count: 2, inserted_count: 0 });
  const alone = await request(path, 'POST', { vectors: rows(1), atomic: false });
  t.is(alone.status, 200);
  t.like(alone.json, { status: 'failed', failed_count: 1 });
  const search = { queries: [{ query_vector: [1] }] };
  t.is((await request(`${things(url)}/search/batch`, 'POST', search)).status, 200);
  const atomic = await request(`${things(url)}/search/batch`, 'POST', { ...search, atomic: true });
  t.is(atomic.status, 400);
});

test('records are read one by one, page by page, and counted', async (t) => {
  const { url } = await withThings(t);
  const vectors = [...rows(4), { id: 'a/b?c', data: [1, 2], metadata: { kind: 'odd' } }];
  await request(`${things(url)}/vectors/batch`, 'POST', { vectors });
  const one = await request(`${things(url)}/vectors/${encodeURIComponent('a/b?c')}`, 'GET');
  t.like(one.json, { id: 'a/b?c', metadata: { kind: 'odd' } });
  const data = await request(`${things(url)}/vectors/id%200?include=data`, 'GET');
  t.deepEqual(data.json.data, [1, 1]);
  const none = await request(`${things(url)}/vectors/none`, 'GET');
  t.is(none.status, 404);
  t.is(none.json.error_code, 'NOT_FOUND');
  const ids: string[] = [];
  let after = '';
  do {
    const { json } = await request(`${things(url)}/vectors?limit=2${after}`, 'GET');
    ids.push(...json.vectors.map(({ id }: { id: string }) => id));
    after = json.next === null ? '' : `&after=${encodeURIComponent(json.next)}`;
  } while (after !== '');
  t.deepEqual(ids.sort(), vectors.map(({ id }) => id).sort());
  const odd = { filters: { kind: 'odd' } };
  t.is((await request(`${things(url)}/vectors/count`, 'POST', odd)).json.count, 1);
  t.is((await request(`${things(url)}/vectors/list`, 'POST', odd)).json.vectors.length, 1);
});

test('refusals are problems with the code, and change nothing', async (t) => {
  const { url } = await withThings(t);
  const batch = `${things(url)}/vectors/batch`;
  const cases: [string, string, unknown, Record<string, string>, number, string][] = [
    [batch, 'POST', { vectors: [], atmoic: true }, {}, 400, 'INVALID_ARGUMENT'],
    [batch, 'POST', '{"vectors":', {}, 400, 'INVALID_ARGUMENT'],
    [batch, 'POST', '', {}, 400, 'INVALID_ARGUMENT'],
    [batch, 'POST', { vectors: [], collection: 'other' }, {}, 400, 'INVALID_ARGUMENT'],
    [`${batch}?atomic=perhaps`, 'POST', { vectors: [] }, {}, 400, 'INVALID_ARGUMENT'],
    [`${batch}?x=1`, 'POST', { vectors: [] }, {}, 400, 'INVALID_ARGUMENT'],
    [`${batch}?collection=other`, 'POST', { vectors: [] }, {}, 400, 'INVALID_ARGUMENT'],
    [batch, 'POST', { vectors: rows(2), batch_size_limit: 1 }, {}, 413, 'BATCH_TOO_LARGE'],
    [batch, 'PATCH', {}, {}, 405, 'UNSUPPORTED'],
    [batch, 'POST', 'a=1', { 'content-type': 'text/plain' }, 415, 'UNSUPPORTED'],
    [`${url}/health`, 'DELETE', undefined, {}, 405, 'UNSUPPORTED'],
    [`${url}/nowhere`, 'GET', undefined, {}, 404, 'NOT_FOUND'],
    [`${things(url)}/vectors/%E0%A4`, 'GET', undefined, {}, 400, 'INVALID_ARGUMENT'],
    [batch, 'POST', 'no gzip', { 'content-encoding': 'gzip' }, 400, 'INVALID_ARGUMENT'],
    [batch, 'POST', '{}', { 'content-encoding': 'br' }, 501, 'UNSUPPORTED'],
  ];
  for (const [path, method, body, headers, status, code] of cases) {
    const refused = await request(path, method, body, headers);
    t.is(refused.status, status, `${method} ${path} ${refused.text}`);
    t.is(refused.type, 'application/problem+json');
    t.is(refused.json.error_code, code, refused.text);
    t.is(refused.json.status, status);
    t.is(refused.json.request_id, refused.headers.get('x-request-id'));
  }
  t.is((await request(`${things(url)}/vectors/count`, 'POST', {})).json.count, 0);
});

test('JSON that is cut off at any byte is refused', async (t) => {
  const { url } = await withThings(t);
  const whole = JSON.stringify({ vectors: rows(1), on_conflict: 'replace' });
  for (let end = 0; end < whole.length; end++) {
    const cut = await request(`${things(url)}/vectors/batch`, 'POST', whole.slice(0, end));
    t.is(cut.status, 400, whole.slice(0, end));
    t.is(cut.json.error_code, 'INVALID_ARGUMENT');
  }
  t.is((await request(`${things(url)}/vectors/batch`, 'POST', whole)).status, 200);
});

test('vectors come as a block behind a line of JSON', async (t) => {
  const { url } = await withThings(t);
  const block = (json: object, numbers: number[]) =>
    Buffer.concat([
      Buffer.from(`${JSON.stringify(json)}\n`),
      new Uint8Array(Float32Array.from(numbers).buffer),
    ]);
  const send = async (path: string, body: Uint8Array) => {
    const headers = { 'content-type': 'application/vnd.volley.float32' };
    const response = await fetch(`${things(url)}${path}`, { method: 'POST', headers, body });
    // biome-ignore lint/suspicious/noExplicitAny: replies of two routes.
    return { status: response.status, json: (await response.json()) as any };
  };
  const columns = { ids: ['a', 'b'], metadata: [{ n: 1 }, null] };
  const inserted = await send('/vectors/batch', block(columns, [1, 0, 0, 1]));
  t.is(inserted.json.inserted_count, 2);
  const found = await send('/search/batch', block({ queries: [{}, {}], limit: 1 }, [0, 1, 1, 0]));
  type Result = { results: { id: string }[] };
  const first = found.json.batch_results.map(({ results }: Result) => results[0]?.id);
  t.deepEqual(first, ['b', 'a']);
  for (const bad of [
    block(columns, [1, 0, 0]),
    block(columns, []).subarray(0, -1),
    block(columns, [1, 0, 0, 1]).subarray(0, -1),
  ]) {
    t.is((await send('/vectors/batch', bad)).status, 400);
  }
});

test('numbers of a query string are numbers', async (t) => {
  const { url } = await withThings(t);
  await request(`${things(url)}/vectors/batch`, 'POST', { vectors: rows(3) });
  const search = (query: string) =>
    request(`${things(url)}/search/batch?${query}`, 'POST', {
      queries: [{ query_vector: [1, 1] }],
    });
  const found = await search('threshold=0.99&recall=0.9');
  t.deepEqual(
    found.json.batch_results[0].results.map(({ id }: { id: string }) => id),
    ['id 0'],
  );
  for (const [query, field] of [
    ['threshold=much', 'threshold'],
    ['recall=', 'recall'],
  ] as const) {
    const refused = await search(query);
    t.is(refused.status, 400);
    t.like(refused.json, { error_code: 'INVALID_ARGUMENT', field });
  }
});

test('lines come as a stream and are answered batch by batch', async (t) => {
  const { url } = await withThings(t);
  const path = `${things(url)}/vectors/batch?on_conflict=replace`;
  const lines = rows(2500).map((row) => JSON.stringify(row));
  lines[1200] = JSON.stringify({ id: 'short', data: [1] });
  const type = { 'content-type': 'application/x-ndjson' };
  const reply = await request(path, 'POST', `${lines.join('\r\n')}\n\n`, type);
  t.is(reply.type, 'application/x-ndjson');
  const [first, second, third, last] = reply.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.like(first, { offset: 0, operations: 1000 });
  t.like(second, { offset: 1000, operations: 1000 });
  t.like(second.reply.errors[0], { index: 200, error_code: 'DIMENSION_MISMATCH' });
  t.like(third, { offset: 2000, operations: 500 });
  t.deepEqual(last.summary.operations, 2500);
  t.like(last.summary, { inserted_count: 2499, failed_count: 1 });
  const broken = await request(path, 'POST', `${lines[0]}\n{"id":\n`, type);
  const ending = JSON.parse(broken.text.trim());
  t.like(ending, { offset: 0, summary: { operations: 0, failed_count: 0 } });
  t.is(ending.error.error_code, 'INVALID_ARGUMENT');
  const resumed = `${path}&stream_id=s1`;
  await request(resumed, 'POST', lines.slice(0, 1500).join('\n'), type);
  const offset = await request(`${things(url)}/streams/offset`, 'POST', { stream_id: 's1' });
  t.deepEqual(offset.json, { offset: 1500 });
  const rest = lines.slice(1500).join('\n');
  const ended = await request(`${resumed}&offset=1500`, 'POST', rest, type);
  t.is(JSON.parse(ended.text.trim().split('\n').at(-1) ?? '').summary.operations, 1000);
  const keyed = await request(path, 'POST', '{}', { ...type, 'idempotency-key': 'k' });
  t.is(keyed.json.error_code, 'UNSUPPORTED');
  const atomic = await request(`${path}&atomic=true`, 'POST', '{}', type);
  t.is(atomic.json.error_code, 'UNSUPPORTED');
});

test('bodies and replies are compressed where that is asked for', async (t) => {
  const { url } = await withThings(t);
  const body = gzipSync(JSON.stringify({ vectors: rows(200) }));
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const path = `${things(url)}/vectors/batch`;
  const inserted = await fetch(path, { method: 'POST', headers, body });
  t.like(await inserted.json(), { inserted_count: 200 });
  const { get } = await import('node:http');
  const listed = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    get(`${things(url)}/vectors`, { headers: { 'accept-encoding': 'gzip' } }, (response) => {
      t.is(response.headers['content-encoding'], 'gzip');
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks)));
    }).on('error', reject);
  });
  t.is(JSON.parse(gunzipSync(listed).toString()).vectors.length, 200);
});

test('a key is used once, a batch is followed, a deadline is kept', async (t) => {
  const { url } = await withThings(t);
  const path = `${things(url)}/vectors/batch`;
  const headers = { 'idempotency-key': 'k', 'volley-batch-id': 'mine' };
  const first = await request(path, 'POST', { vectors: rows(2) }, headers);
  t.like(first.json, { inserted_count: 2, replayed: false, batch_id: 'mine' });
  const again = await request(path, 'POST', { vectors: rows(2) }, { 'idempotency-key': 'k' });
  t.like(again.json, { inserted_count: 2, replayed: true });
  const other = await request(path, 'POST', { vectors: rows(3) }, { 'idempotency-key': 'k' });
  t.is(other.status, 422);
  t.is(other.json.error_code, 'IDEMPOTENCY_MISMATCH');
  const progress = await request(`${url}/api/v1/batches/mine`, 'GET');
  t.like(progress.json, { received: 2, applied: 2, failed: 0 });
  const events = await request(`${url}/api/v1/batches/mine/events`, 'GET');
  t.is(events.type, 'text/event-stream');
  t.regex(events.text, /^id: 1\nevent: end\ndata: \{.*"applied":2.*\}\n\n$/);
  t.is((await request(`${url}/api/v1/batches/none`, 'GET')).status, 404);
  t.is((await request(`${url}/api/v1/batches/none/events`, 'GET')).status, 404);
  const late = await request(path, 'POST', { vectors: rows(1, 5) }, { 'volley-deadline-ms': '0' });
  t.is(late.json.error_code, 'INVALID_ARGUMENT');
  const large = await request(path, 'POST', { vectors: rows(1001, 10) });
  t.is(large.status, 413);
  t.like(large.json, { error_code: 'BATCH_TOO_LARGE', limit: 1000, actual: 1001 });
});

test('health, readiness, metrics, limits and the request id', async (t) => {
  const { url } = await withThings(t);
  t.deepEqual((await request(`${url}/health`, 'GET')).json, { status: 'ok' });
  t.deepEqual((await request(`${url}/ready`, 'GET')).json, { status: 'ready' });
  const limits = await request(`${url}/api/v1/limits`, 'GET');
  t.deepEqual(limits.json.id_bytes_max, { value: 512, unit: 'bytes' });
  t.is(limits.json.request_bytes_max.unit, 'bytes');
  const named = await request(`${things(url)}`, 'GET', undefined, { 'x-request-id': 'mine-1' });
  t.is(named.headers.get('x-request-id'), 'mine-1');
  const { text } = await request(`${url}/metrics`, 'GET');
  t.regex(
    text,
    /volley_request_duration_seconds_count\{surface="rest",route="GET \/api\/v1\/collections\/\{collection\}",code="OK"\} 1/,
  );
  t.regex(text, /^volley_requests_in_flight 1$/m);
});

test('pages of other origins may not call unless they are named', async (t) => {
  const { url } = await served(t, { rest: 0, cors: ['https://good.example'] });
  const path = `${url}/api/v1/collections`;
  const preflight = (origin: string) => request(path, 'OPTIONS', undefined, { origin });
  const good = await preflight('https://good.example');
  t.is(good.status, 204);
  t.is(good.headers.get('access-control-allow-origin'), 'https://good.example');
  const bad = await preflight('https://bad.example');
  t.is(bad.status, 403);
  t.is(bad.headers.get('access-control-allow-origin'), null);
});

test('the status of a failed batch follows what it was, wherever that was said', async (t) => {
  const { url } = await withThings(t);
  const path = `${things(url)}/vectors/batch`;
  await request(path, 'POST', { vectors: rows(1) });
  const send = (query: string, more: object) =>
    request(`${path}${query}`, 'POST', { vectors: rows(1), ...more });
  t.is((await send('', {})).status, 409);
  t.is((await send('?atomic=false', {})).status, 200);
  t.is((await send('?atomic=true', {})).status, 409);
  t.is((await send('', { atomic: false })).status, 200);
  const escaped = JSON.stringify({ vectors: rows(1) }).replace('}]}', '}],"\\u0061tomic":false}');
  t.is((await request(path, 'POST', escaped)).status, 200);
});
