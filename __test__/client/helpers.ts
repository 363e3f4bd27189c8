import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';

export const FAST = { retryDelayMs: 1 };

/** What a server says of a collection. */
export const INFO = JSON.stringify({ name: 'c', dimension: 1, embedder: null });

/** A server on a free port of loopback. */
export async function listening(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that says what a test wants it to say. */
export async function scripted(t: ExecutionContext, listener: RequestListener): Promise<string> {
  return listening(t, (request, response) => {
    // What a client reads first; the script is about what comes then.
    if (request.url === '/api/v1/config') sendJson(response, '{"max_batch_size":1000}');
    else listener(request, response);
  });
}

export function sendJson(response: ServerResponse, body: string): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

/** Refuses a request as a server does. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ error_code: code, error_message: 'no', retriable: true }));
}

/** Whether a request writes records. */
export function isInsert({ method, url }: IncomingMessage): boolean {
  return method === 'POST' && url?.endsWith('/vectors/batch') === true;
}
