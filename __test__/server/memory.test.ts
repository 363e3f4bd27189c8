import test from 'ava';
import { request, served, socketTo, usedBytes } from './helpers.js';

// The budget is the process's, so these tests run one after another.

const path = '/api/v1/collections/things/vectors/batch';

/** A store whose budget is one MiB, of which 983,040 bytes are not kept for deletes. */
const SMALL = { batchOperations: { maxMemoryUsageMb: 1 } } as const;

test.serial(
  'a body that arrives holds memory of the one budget, which others are told of',
  async (t) => {
    const { url, store } = await served(t, { rest: 0 }, SMALL);
    await store.createCollection('things', { dimension: 1 });
    for (let attempt = 0; attempt < 5; attempt++) {
      const socket = socketTo(url);
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 400000\r\n\r\n{"vectors":`,
      );
      // The engine counts a request's bytes twice: as they came, and as they go to the log.
      while ((await usedBytes(url)) !== 800_000);
      t.is((await store.limits()).memoryUsedBytes?.value, 800_000);
      const refused = await request(`${url}${path}`, 'POST', ' '.repeat(100_000));
      t.is(refused.status, 429);
      t.like(refused.json, {
        error_code: 'OVERLOADED',
        retriable: true,
        budget: 'memory',
        used: 800_000,
        limit: 983_040,
        unit: 'bytes',
      });
      t.true(refused.json.retry_after_ms > 0);
      t.true(Number(refused.headers.get('retry-after')) >= 1);
      // A delete has a slice of its own.
      const emptied = await request(`${url}${path}`, 'DELETE', {
        vector_ids: ['a'],
        missing: 'ignore',
      });
      t.is(emptied.json.skipped_count, 1);
      socket.destroy();
      while ((await usedBytes(url)) !== 0);
    }
  },
);

test.serial('who announces much and sends nothing holds nothing', async (t) => {
  const { url, store } = await served(t, { rest: 0 }, SMALL);
  const idle = Array.from({ length: 20 }, () => socketTo(url));
  for (const socket of idle) {
    socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 400000\r\n\r\n`);
  }
  while (!/requests_in_flight 21$/m.test((await request(`${url}/metrics`, 'GET')).text));
  t.is(await usedBytes(url), 0);
  await store.createCollection('things', { dimension: 1 });
  t.is((await request(`${url}${path}`, 'POST', { vectors: [{ id: 'a', data: [1] }] })).status, 200);
  for (const socket of idle) socket.destroy();
});

test.serial('a body that never fits is no matter of coming back', async (t) => {
  const { gzipSync } = await import('node:zlib');
  const { url } = await served(t, { rest: 0 }, SMALL);
  const whole = await request(`${url}${path}`, 'POST', ' '.repeat(600_000));
  t.is(whole.status, 413);
  t.like(whole.json, { error_code: 'MEMORY_LIMIT_EXCEEDED', retriable: false, limit: 983_040 });
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const body = gzipSync(Buffer.alloc(3_000_000, ' '));
  const packed = await fetch(`${url}${path}`, { method: 'POST', headers, body });
  t.is(packed.status, 413);
  t.is(await usedBytes(url), 0);
});

test.serial('a stream waits for memory instead of being refused', async (t) => {
  const { url, store } = await served(t, { rest: 0 }, SMALL);
  const things = await store.createCollection('things', { dimension: 1 });
  const socket = socketTo(url);
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 450000\r\n\r\n{"vectors":`,
  );
  while ((await usedBytes(url)) !== 900_000);
  const lines = Array.from({ length: 3000 }, (_, n) => JSON.stringify({ id: `${n}`, data: [1] }));
  const type = { 'content-type': 'application/x-ndjson' };
  let isDone = false;
  const stream = request(`${url}${path}`, 'POST', lines.join('\n'), type).finally(() => {
    isDone = true;
  });
  while (!/requests_in_flight 3$/m.test((await request(`${url}/metrics`, 'GET')).text));
  t.false(isDone);
  t.is(await things.count(), 0);
  socket.destroy();
  const last = (await stream).text.trim().split('\n').at(-1) ?? '';
  t.like(JSON.parse(last).summary, { operations: 3000, inserted_count: 3000 });
  while ((await usedBytes(url)) !== 0);
  t.is(await things.count(), 3000);
});
