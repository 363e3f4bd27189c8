import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { open } from '../../src/index.js';
import { type ApiKey, type RequestLog, readKeys, serve } from '../../src/server/index.js';
import { temporaryDirectory } from '../helpers/directory.js';
import { request, served } from './helpers.js';

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex');
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const KEYS: ApiKey[] = [
  { name: 'root', sha256: sha256('root-key'), scopes: ['admin'] },
  { name: 'reader', sha256: sha256('reader-key'), scopes: ['read'] },
  { name: 'one', sha256: sha256('one-key'), scopes: ['read', 'write'], collections: ['a'] },
  { name: 'slow', sha256: sha256('slow-key'), scopes: ['read'], requests_per_s: 0.001 },
  { name: 'small', sha256: sha256('small-key'), scopes: ['write'], in_flight_bytes: 100 },
];

test('a key may do what its scopes and collections say', async (t) => {
  const { url } = await served(t, { rest: 0, keys: KEYS });
  const path = `${url}/api/v1/collections`;
  for (const name of ['a', 'b']) {
    const made = await request(path, 'POST', { name, dimension: 1 }, bearer('root-key'));
    t.is(made.status, 201);
  }
  const insert = (name: string, key: string) =>
    request(`${path}/${name}/vectors/batch`, 'POST', { vectors: [] }, bearer(key));
  t.is((await insert('a', 'one-key')).status, 200);
  t.is((await insert('b', 'one-key')).json.error_code, 'PERMISSION_DENIED');
  t.is((await insert('a', 'reader-key')).status, 403);
  t.is((await request(path, 'GET', undefined, bearer('reader-key'))).status, 200);
  t.is((await request(path, 'GET', undefined, bearer('one-key'))).status, 403);
  t.is((await request(`${path}/a`, 'DELETE', undefined, bearer('one-key'))).status, 403);
  t.is((await request(`${path}/a`, 'GET', undefined, bearer('one-key'))).status, 200);
  const none = await request(`${path}/a`, 'GET');
  t.is(none.status, 401);
  t.is(none.headers.get('www-authenticate'), 'Bearer');
  t.is((await request(`${path}/a`, 'GET', undefined, bearer('root-ke'))).status, 401);
  t.is((await request(`${url}/metrics`, 'GET')).status, 401);
  t.is((await request(`${url}/health`, 'GET')).status, 200);
});

test('unknown keys of every length get the same answer', async (t) => {
  const { url } = await served(t, { rest: 0, keys: KEYS });
  const guesses = ['r', 'root-ke', 'root-key-', 'Root-key', 'root-kez', 'x'.repeat(4096)];
  for (const guess of guesses) {
    const answer = await request(`${url}/metrics`, 'GET', undefined, bearer(guess));
    t.is(answer.status, 401, guess);
    t.like(answer.json, { error_code: 'UNAUTHENTICATED', detail: 'the key is unknown' }, guess);
  }
});

test('a key is compared with all entries, also behind the one that it matches', async (t) => {
  const log: RequestLog[] = [];
  const twins = [1, 2, 3].map((n) => ({ ...(KEYS[1] as ApiKey), name: `twin ${n}` }));
  const { url } = await served(t, { rest: 0, keys: twins, log: (entry) => log.push(entry) });
  await request(`${url}/api/v1/collections`, 'GET', undefined, bearer('reader-key'));
  t.is(log[0]?.caller, 'twin 3');
});

test("a caller's rate and memory share are its own", async (t) => {
  const { url } = await served(t, { rest: 0, keys: KEYS });
  const path = `${url}/api/v1/collections`;
  await request(path, 'POST', { name: 'a', dimension: 1 }, bearer('root-key'));
  t.is((await request(path, 'GET', undefined, bearer('slow-key'))).status, 200);
  const over = await request(path, 'GET', undefined, bearer('slow-key'));
  t.is(over.status, 429);
  t.like(over.json, { error_code: 'OVERLOADED', retriable: true });
  t.true(Number(over.headers.get('retry-after')) > 0);
  t.is((await request(path, 'GET', undefined, bearer('reader-key'))).status, 200);
  const vectors = Array.from({ length: 10 }, (_, n) => ({ id: `${n}`, data: [1] }));
  const batch = `${path}/a/vectors/batch`;
  const large = await request(batch, 'POST', { vectors }, bearer('small-key'));
  t.is(large.status, 413);
  t.like(large.json, { error_code: 'MEMORY_LIMIT_EXCEEDED', limit: 100 });
  t.is((await request(batch, 'POST', { vectors: [] }, bearer('small-key'))).status, 200);
});

test('logs name the caller and the code, and no key', async (t) => {
  const log: RequestLog[] = [];
  const { url } = await served(t, { rest: 0, keys: KEYS, log: (entry) => log.push(entry) });
  await request(`${url}/api/v1/collections`, 'GET', undefined, bearer('reader-key'));
  await request(`${url}/api/v1/collections`, 'GET', undefined, bearer('guess-key'));
  t.like(log[0], { surface: 'rest', caller: 'reader', code: 'OK', status: 200 });
  t.like(log[1], { caller: null, code: 'UNAUTHENTICATED' });
  t.false(JSON.stringify(log).includes('-key'));
});

test('without keys only loopback is served', async (t) => {
  const store = await open(':memory:');
  t.teardown(() => store.close());
  await t.throwsAsync(serve(store, { rest: 0, host: '0.0.0.0' }), { code: 'INVALID_ARGUMENT' });
  const server = await serve(store, { rest: 0, host: '0.0.0.0', keys: KEYS });
  await server.close();
});

test('a file of keys is read, and one that is wrong is refused', async (t) => {
  const path = join(temporaryDirectory(t), 'keys.json');
  const write = (value: unknown) => writeFile(path, JSON.stringify(value));
  await write({ keys: KEYS });
  t.deepEqual(await readKeys(path), KEYS);
  const [key] = KEYS;
  for (const wrong of [
    [],
    { keys: [] },
    { keys: KEYS, more: 1 },
    { keys: [{ ...key, key: 'plain' }] },
    { keys: [{ ...key, sha256: 'plain' }] },
    { keys: [{ ...key, scopes: ['all'] }] },
    { keys: [{ ...key, collections: [] }] },
    { keys: [{ ...key, requests_per_s: 0 }] },
  ]) {
    await write(wrong);
    await t.throwsAsync(readKeys(path), { code: 'INVALID_ARGUMENT' }, JSON.stringify(wrong));
  }
});
