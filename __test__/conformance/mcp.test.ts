import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { LARGE_BATCHES } from './scenario.js';
import { storeSurface } from './store-surface.js';
import { conformance } from './suite.js';
import type { Surface } from './surface.js';
import { rowsOf, searchResult, toWire, writeResult } from './wire-words.js';

// biome-ignore lint/suspicious/noExplicitAny: results of every tool.
type Result = any;

/** MCP over HTTP; what it has no tool for (get, list, count, drop) is asked of the store itself. */
async function openMcp(): Promise<Surface> {
  const store = await open(':memory:', LARGE_BATCHES);
  const server = await serve(store, { rest: 0, mcp: true });
  const client = new Client({ name: 'conformance', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server.mcp ?? '')));
  const call = async (name: string, given: object): Promise<Result> => {
    const result = await client.callTool({ name, arguments: given as Record<string, unknown> });
    if (result.structuredContent !== undefined) return result.structuredContent;
    const [{ text }] = result.content as unknown as [{ text: string }];
    const { error } = JSON.parse(text);
    throw Object.assign(new Error(error.error_message), { code: error.error_code });
  };
  // Mixed batches have no tool: one kind at a time is what models are given.
  const { write, get, list, count, dropCollection } = storeSurface(store);
  return {
    write,
    get,
    list,
    count,
    dropCollection,
    createCollection: (name, options) => call('create_collection', toWire({ name, ...options })),
    collections: async () =>
      (await call('list_collections', {})).collections.map(({ name }: Result) => name),
    insert: async (collection, rows, options = {}) =>
      writeResult(
        await call('batch_insert_vectors', {
          collection,
          vectors: rowsOf(rows),
          ...toWire({ batchSizeLimit: 10_000, ...options }),
        }),
      ),
    update: async (collection, rows, options = {}) =>
      writeResult(
        await call('batch_update_vectors', {
          collection,
          updates: rowsOf(rows),
          ...toWire(options),
        }),
      ),
    delete: async (collection, ids, options = {}) =>
      writeResult(
        await call('batch_delete_vectors', { collection, vector_ids: ids, ...toWire(options) }),
      ),
    search: async (collection, queries, options = {}) =>
      searchResult(
        await call('batch_search_vectors', {
          collection,
          queries: rowsOf(queries),
          ...toWire(options),
        }),
      ),
    close: async () => {
      await client.close();
      await server.close();
      await store.close();
    },
  };
}

conformance(openMcp);
