import { once } from 'node:events';
import { request as httpRequest, type RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import test from 'ava';
import { request, served, socketTo, usedBytes } from './helpers.js';

const path = '/api/v1/collections/things/vectors/batch';
const KIB = 1024;

/** All that a server says until it ends the connection. */
async function answerOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  return text;
}

async function isAlive(url: string): Promise<boolean> {
  return (await request(`${url}/ready`, 'GET')).status === 200;
}

test('a body that says it is too large is refused before it comes', async (t) => {
  const { url } = await served(t, { rest: 0, requestBytesMax: 4 * KIB });
  const socket = socketTo(url);
  socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10737418240\r\n\r\n{`);
  const [head] = await once(socket, 'data');
  t.regex(String(head), /^HTTP\/1.1 413 /);
  t.regex(String(head), /BATCH_TOO_LARGE/);
  socket.destroy();
  t.true(await isAlive(url));
});

test('a body that does not say how large it is ends at the limit', async (t) => {
  const { url } = await served(t, { rest: 0, requestBytesMax: 64 * KIB });
  const upload = httpRequest(`${url}${path}`, { method: 'POST' });
  upload.on('error', () => undefined);
  const piece = Buffer.alloc(16 * KIB, ' ');
  for (let sent = 0; sent < 32; sent++) upload.write(piece);
  const [response] = await once(upload, 'response');
  t.is(response.statusCode, 413);
  upload.destroy();
  t.true(await isAlive(url));
});

test('a small body that unpacks to a large one is refused', async (t) => {
  const { gzipSync } = await import('node:zlib');
  const { url } = await served(t, { rest: 0, requestBytesMax: 64 * KIB });
  const body = gzipSync(Buffer.alloc(1024 * KIB, ' '));
  t.true(body.length < 64 * KIB);
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body });
  t.is(response.status, 413);
  t.is(((await response.json()) as { error_code: string }).error_code, 'BATCH_TOO_LARGE');
});

test('what is no HTTP is answered once and cut off', async (t) => {
  const { url } = await served(t, { rest: 0, headArrivalMs: 100 });
  for (const garbage of [
    '\u0000\u0001\u0002\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\n',
  ]) {
    const socket = socketTo(url);
    socket.write(garbage);
    t.regex(await answerOf(socket), /^HTTP\/1.1 (400|408|505) /);
  }
  t.true(await isAlive(url));
});

test('a body that does not come in time is given up', async (t) => {
  const { url } = await served(t, { rest: 0, bodyArrivalMs: 50 });
  for (const type of ['application/json', 'application/x-ndjson']) {
    const socket = socketTo(url);
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: 100\r\n\r\n{`,
    );
    const answer = await answerOf(socket);
    t.regex(answer, /^HTTP\/1.1 504 /, type);
    t.regex(answer, /DEADLINE_EXCEEDED/);
  }
});

test('a reader of a stream who does not read stops the stream, not the server', async (t) => {
  const { url, store } = await served(t);
  await store.createCollection('things', { dimension: 1 });
  const socket = socketTo(url);
  socket.pause();
  socket.write(
    `POST ${path}?outcomes=all&on_conflict=replace HTTP/1.1\r\nhost: localhost\r\n` +
      'content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  const line = `${JSON.stringify({ id: 'x'.repeat(500), data: [1] })}\n`;
  const piece = line.repeat(2000);
  const chunk = `${piece.length.toString(16)}\r\n${piece}\r\n`;
  const sentMax = 200 * KIB * KIB;
  let sent = 0;
  // Until a round of other requests goes by in which the server takes nothing more.
  for (let isStuck = false; !isStuck && sent < sentMax; ) {
    while (sent < sentMax && socket.writableLength < KIB * KIB) {
      socket.write(chunk);
      sent += chunk.length;
    }
    const before = socket.bytesWritten - socket.writableLength;
    for (let round = 0; round < 20; round++) t.true(await isAlive(url));
    isStuck = socket.bytesWritten - socket.writableLength === before;
  }
  t.true(sent < sentMax, `the server took ${sent} bytes`);
  const held = await usedBytes(url);
  t.true(held <= 64 * KIB * KIB, `the server holds ${held} bytes`);
  socket.destroy();
});

test('a thousand idle connections leave room for others', async (t) => {
  const { url } = await served(t);
  const idle = Array.from({ length: 1000 }, () => socketTo(url));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  t.true(await isAlive(url));
  for (const socket of idle) socket.destroy();
});

test('a stop lets what runs end, and nothing new in', async (t) => {
  const { url, server } = await served(t);
  const sizes = { name: 'things', dimension: 8 };
  await request(`${url}/api/v1/collections`, 'POST', sizes);
  const vectors = Array.from({ length: 1000 }, (_, n) => ({
    id: `${n}`,
    data: Array(8).fill(n + 1),
  }));
  const body = JSON.stringify({ vectors });
  const upload = httpRequest(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': body.length },
  });
  upload.write(body.slice(0, 1000));
  while (!/requests_in_flight 2$/m.test((await request(`${url}/metrics`, 'GET')).text));
  const closed = server.close();
  const late = await request(`${url}/api/v1/collections`, 'GET');
  t.is(late.status, 503);
  t.is(late.json.error_code, 'STORE_CLOSED');
  upload.end(body.slice(1000));
  const [response] = await once(upload, 'response');
  t.is(response.statusCode, 200);
  response.resume();
  await closed;
  await t.throwsAsync(fetch(`${url}/health`));
});

/** The status of a raw request, as `node:http` sends it. */
function statusOf(url: string, options: RequestOptions, body = ''): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const attempt = httpRequest(url, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    attempt.on('error', reject);
    attempt.end(body);
  });
}

test('pages of strangers are turned away where there are no keys', async (t) => {
  const { url, store } = await served(t);
  const things = await store.createCollection('things', { dimension: 1 });
  const body = JSON.stringify({ vectors: [{ id: 'a', data: [1] }] });
  const post = (headers: Record<string, string>) =>
    statusOf(`${url}${path}`, { method: 'POST', headers }, body);
  const { host } = new URL(url);
  // A page may send a body without a type to any origin, without asking first.
  t.is(await post({ origin: 'https://stranger.example' }), 403);
  t.is(await post({ origin: 'null' }), 403);
  // A page whose own name leads here is of the same origin to its browser.
  const rebound = { host: 'stranger.example', origin: 'http://stranger.example' };
  t.is(await post(rebound), 403);
  t.is(await statusOf(`${url}/api/v1/collections`, { headers: { host: 'stranger.example' } }), 403);
  t.is(await things.count(), 0);
  t.is(await post({ origin: `http://${host}` }), 200);
  t.is(await statusOf(`${url}/health`, { headers: { host: 'localhost:1' } }), 200);
});

test('a request that says its length in two ways is refused', async (t) => {
  const { url } = await served(t);
  for (const headers of [
    'content-length: 2\r\ntransfer-encoding: chunked',
    'content-length: 2\r\ncontent-length: 30',
    'transfer-encoding: chunked, identity',
    'content-length: +2',
  ]) {
    const socket = socketTo(url);
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n\r\n{}` +
        'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n',
    );
    const answer = await answerOf(socket);
    t.regex(answer, /^HTTP\/1.1 400 /, headers);
    t.false(answer.includes('"ok"'), headers);
  }
});
