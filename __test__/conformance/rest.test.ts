import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { LARGE_BATCHES } from './scenario.js';
import { conformance } from './suite.js';
import type { Surface } from './surface.js';
import { record, rowsOf, searchResult, toWire, writeResult } from './wire-words.js';

// biome-ignore lint/suspicious/noExplicitAny: replies of every route.
type Reply = any;

/** REST with JSON bodies, without the client. */
async function openRest(): Promise<Surface> {
  const store = await open(':memory:', LARGE_BATCHES);
  const server = await serve(store, { rest: 0 });
  const send = async (method: string, path: string, body?: object): Promise<Reply> => {
    const response = await fetch(`${server.rest}/api/v1/collections${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const reply = (await response.json()) as Reply;
    if (response.headers.get('content-type') === 'application/json') return reply;
    throw Object.assign(new Error(reply.detail), { code: reply.error_code });
  };
  return {
    createCollection: (name, options) => send('POST', '', toWire({ name, ...options })),
    dropCollection: (name) => send('DELETE', `/${name}`),
    collections: async () => (await send('GET', '')).collections.map((info: Reply) => info.name),
    insert: async (name, rows, options = {}) =>
      writeResult(
        await send('POST', `/${name}/vectors/batch`, { vectors: rowsOf(rows), ...toWire(options) }),
      ),
    update: async (name, rows, options = {}) =>
      writeResult(
        await send('PUT', `/${name}/vectors/batch`, { updates: rowsOf(rows), ...toWire(options) }),
      ),
    delete: async (name, ids, options = {}) =>
      writeResult(
        await send('DELETE', `/${name}/vectors/batch`, { vector_ids: ids, ...toWire(options) }),
      ),
    write: async (name, list, options = {}) =>
      writeResult(
        await send('POST', `/${name}/batch`, { operations: rowsOf(list), ...toWire(options) }),
      ),
    search: async (name, queries, options = {}) =>
      searchResult(
        await send('POST', `/${name}/search/batch`, {
          queries: rowsOf(queries),
          ...toWire(options),
        }),
      ),
    get: async (name, ids, include) => {
      const body = toWire({ vectorIds: ids, include });
      const { vectors } = await send('POST', `/${name}/vectors/get`, body);
      return vectors.map((one: object | null) => one && record(one));
    },
    list: async (name, { limit = Number.POSITIVE_INFINITY, ...options } = {}) => {
      const records: ReturnType<typeof record>[] = [];
      let after: string | undefined;
      do {
        const page = { ...options, after, limit: Math.min(limit - records.length, 1000) };
        const { vectors, next } = await send('POST', `/${name}/vectors/list`, toWire(page));
        records.push(...vectors.map(record));
        after = next ?? undefined;
      } while (after !== undefined && records.length < limit);
      return records;
    },
    count: async (name, filters) =>
      (await send('POST', `/${name}/vectors/count`, toWire({ filters }))).count,
    close: async () => {
      await server.close();
      await store.close();
    },
  };
}

conformance(openRest);
