import { connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { type OpenOptions, open, type Store } from '../../src/index.js';
import { type Served, type ServeOptions, serve } from '../../src/server/index.js';

/** A store in memory behind a server on a free port of loopback. */
export async function served(
  t: ExecutionContext,
  options: ServeOptions = { rest: 0 },
  storeOptions: OpenOptions = {},
): Promise<{ store: Store; server: Served; url: string }> {
  const store = await open(':memory:', storeOptions);
  const server = await serve(store, options);
  t.teardown(async () => {
    await server.close();
    await store.close();
  });
  return { store, server, url: server.rest ?? '' };
}

/** A request with a JSON body, and the JSON of its reply. */
export async function request(
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const type = response.headers.get('content-type');
  const json =
    /\bjson$/.test(type ?? '') && type !== 'application/x-ndjson'
      ? // biome-ignore lint/suspicious/noExplicitAny: replies of all routes.
        (JSON.parse(text) as any)
      : undefined;
  return { status: response.status, type, text, json, headers: response.headers };
}

/** Bytes in use of the memory budget, as a server tells them. */
export async function usedBytes(url: string): Promise<number> {
  const { text } = await request(`${url}/metrics`, 'GET');
  return Number(/^volley_memory_used_bytes (\d+)$/m.exec(text)?.[1]);
}

/** A connection to a server, for what no client would send. */
export function socketTo(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  return socket;
}
