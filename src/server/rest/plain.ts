import type { IncomingMessage, ServerResponse } from 'node:http';
import { VolleyError } from '../../errors.js';
import type { Service } from '../service.js';
import { openApi } from './openapi.js';

type Answer = (service: Service, response: ServerResponse) => void | Promise<void>;

/** What needs no key, by path. */
const OPEN: Readonly<Record<string, Answer>> = {
  '/health': (_, response) => sendJson(response, 200, { status: 'ok' }),
  '/ready': sendReady,
  '/api/v1/openapi.json': ({ hasKeys }, response) => sendJson(response, 200, openApi(hasKeys)),
};

/** What needs a key, by path. */
const KEYED: Readonly<Record<string, Answer>> = {
  '/metrics': sendMetrics,
  '/api/v1/limits': sendLimits,
  '/api/v1/config': sendConfig,
};

/**
 * Answers what does not go to a collection: health, metrics, limits, the OpenAPI document.
 *
 * @returns Whether the path was one of them.
 * @throws VolleyError `UNSUPPORTED` for a method that is not GET.
 */
export async function answerPlain(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<boolean> {
  const isOpen = Object.hasOwn(OPEN, path);
  const answer = isOpen ? OPEN[path] : Object.hasOwn(KEYED, path) ? KEYED[path] : undefined;
  if (answer === undefined) return false;
  if (request.method !== 'GET') throw wrongMethod(path, request.method ?? '', ['GET']);
  if (isOpen) await answer(service, response);
  else await withRight(service, request, response, path, answer);
  return true;
}

/** The error of a path that does not have the method. */
export function wrongMethod(path: string, method: string, allow: readonly string[]): VolleyError {
  return new VolleyError('UNSUPPORTED', `${path} has no ${method}, only ${allow.join(', ')}`, {
    details: { httpStatus: 405, allow },
  });
}

/** Ready = requests are let in and the engine answers. */
async function sendReady(service: Service, response: ServerResponse): Promise<void> {
  let isReady = service.gate.isOpen;
  try {
    await service.engine.call('limits');
  } catch {
    isReady = false;
  }
  sendJson(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready' });
}

async function withRight(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  send: Answer,
): Promise<void> {
  const exchange = service.enter({
    surface: 'rest',
    request: `GET ${path}`,
    route: `GET ${path}`,
    scope: path === '/metrics' ? 'read' : undefined,
    authorization: request.headers.authorization,
    collection: undefined,
  });
  response.once('close', () => exchange.end('OK', response.statusCode, 0, 0));
  await send(service, response);
}

async function sendMetrics(service: Service, response: ServerResponse): Promise<void> {
  const { engine, gate, metrics } = service;
  const { memory_used_bytes: used } = (await engine.call('limits')) as {
    memory_used_bytes: { value: number };
  };
  const text = metrics.text({
    volley_requests_in_flight: { help: 'Requests in work.', value: gate.requests },
    volley_memory_used_bytes: {
      help: 'Bytes in use of the memory budget that requests share.',
      value: used.value,
    },
    volley_resident_memory_bytes: {
      help: 'Resident memory of the process, mapped pages included.',
      value: process.memoryUsage.rss(),
    },
  });
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  response.end(text);
}

async function sendConfig(service: Service, response: ServerResponse): Promise<void> {
  sendJson(response, 200, await service.engine.call('config'));
}

async function sendLimits(service: Service, response: ServerResponse): Promise<void> {
  const bytes = (value: number) => ({ value, unit: 'bytes' });
  sendJson(response, 200, {
    ...(await service.engine.call('limits')),
    request_bytes_max: bytes(service.requestBytesMax),
  });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
  });
  response.end(body);
}
