import type { IncomingMessage, ServerResponse } from 'node:http';
import { VolleyError } from '../../errors.js';
import type { CallContext, Format } from '../../native/door.js';
import { RequestMemory } from '../memory.js';
import type { Exchange, Service } from '../service.js';
import { volleyError } from '../service.js';
import { type Body, discardBody, readBody } from './body.js';
import { followBatch } from './events.js';
import { type OriginRules, refuseStrangers } from './origin.js';
import { answerPlain, wrongMethod } from './plain.js';
import { problemOf } from './problem.js';
import { queryFields } from './query.js';
import { encodedReply, onlyRecord, replyStatus } from './reply.js';
import { type Found, findRoute } from './routes.js';
import { writeLines } from './stream.js';
import { BATCH_ID_HEADER, DEADLINE_HEADER, FORMATS, NDJSON_TYPE } from './types.js';

/** Takes one request of `node:http`; never rejects. */
export type RestHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Without keys these are all that keeps pages of strangers out; see {@link refuseStrangers}. */
export type RestOptions = OriginRules;

const EMPTY_BODY: Body = { pieces: [Buffer.from('{}')], bytes: 2 };

/**
 * The REST routes, for a server of one's own:
 * `http.createServer(restHandler(service))`, or `app.use(restHandler(service))` in Express.
 */
export function restHandler(service: Service, options: RestOptions = {}): RestHandler {
  return async (request, response) => {
    const requestId = service.requestId(header(request, 'x-request-id'));
    response.setHeader('x-request-id', requestId);
    response.on('error', () => undefined);
    try {
      if (answerCors(request, response, options.cors ?? [])) return;
      // With keys a server may have any name, and a page has no key.
      if (!service.hasKeys) refuseStrangers(request, options);
      await answer(service, request, response, requestId);
    } catch (failure) {
      sendProblem(request, response, volleyError(failure), requestId);
    }
  };
}

async function answer(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Promise<void> {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  if (await answerPlain(service, request, response, path)) return;
  const found = routeOf(request.method ?? 'GET', path);
  const { route, parameters } = found;
  const exchange = service.enter({
    surface: 'rest',
    requestId,
    request: `${request.method} ${path}`,
    route: `${route.method} ${route.path}`,
    scope: route.scope,
    authorization: header(request, 'authorization'),
    collection: parameters.collection,
  });
  const outcome = { code: 'INTERNAL', bytesIn: 0, bytesOut: 0 };
  response.once('close', () => {
    exchange.end(outcome.code, response.statusCode, outcome.bytesIn, outcome.bytesOut);
  });
  try {
    const fields = fieldsOf(request, found, query);
    Object.assign(outcome, await run(service, exchange, request, response, found, fields));
  } catch (failure) {
    const error = volleyError(failure);
    outcome.code = error.code;
    outcome.bytesOut = sendProblem(request, response, error, requestId);
  }
}

function routeOf(method: string, path: string): Found {
  let found: Found | readonly string[];
  try {
    found = findRoute(method, path);
  } catch {
    throw new VolleyError('INVALID_ARGUMENT', `the path ${path} has broken percent-encoding`, {
      details: { field: 'path' },
    });
  }
  if ('route' in found) return found;
  if (found.length === 0) throw new VolleyError('NOT_FOUND', `there is no ${path}`);
  throw wrongMethod(path, method, found);
}

/** The fields that stand beside the body. */
function fieldsOf(
  request: IncomingMessage,
  { parameters }: Found,
  query: URLSearchParams,
): Record<string, unknown> {
  const fields = queryFields(query);
  const key = header(request, 'idempotency-key');
  if (key !== undefined) fields.idempotency_key = key;
  const { id, ...path } = parameters;
  if (id !== undefined) fields.vector_ids = [id];
  for (const [name, value] of Object.entries(path)) {
    if (Object.hasOwn(fields, name)) {
      throw new VolleyError('INVALID_ARGUMENT', `\`${name}\` stands twice`, {
        details: { field: name },
      });
    }
    fields[name] = value;
  }
  return fields;
}

async function run(
  service: Service,
  exchange: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
  { route, parameters }: Found,
  fields: Record<string, unknown>,
): Promise<{ code: string; bytesIn: number; bytesOut: number }> {
  const { engine } = service;
  const { pass } = exchange;
  const type = contentType(request);
  if (type === NDJSON_TYPE && route.stream !== undefined) {
    const context = { ...service.streamContext(pass), ...callContext(request) };
    const silenceMs = service.bodyArrivalMs;
    const stream = { route, engine, pass, fields, context, silenceMs };
    return await writeLines(request, response, stream);
  }
  if (route.isFollowed === true) {
    const batchId = parameters.batch_id ?? '';
    return await followBatch(service, exchange, request, response, batchId);
  }
  const hasBody = route.input === 'body';
  const format = hasBody ? formatOf(type) : 'json';
  const context = { ...service.context(pass), ...callContext(request) };
  const memory = new RequestMemory(engine, pass, route.verb);
  let body = EMPTY_BODY;
  let reply: Uint8Array;
  try {
    if (hasBody) body = await readBody(request, memory, service);
    reply = await engine.send({
      verb: route.verb,
      beside: fields,
      format,
      body: body.pieces,
      collection: parameters.collection,
      context: { ...context, ...memory.context },
    });
    memory.spend();
  } finally {
    await memory.release();
  }
  const { atomicByDefault } = engine;
  const { status, code } = replyStatus(route, reply, {
    format,
    body: body.pieces,
    fields,
    atomicByDefault,
  });
  if (parameters.id !== undefined) reply = onlyRecord(reply, parameters.id);
  const { bytes, headers } = await encodedReply(reply, header(request, 'accept-encoding'));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    ...headers,
  });
  response.end(bytes);
  return { code, bytesIn: hasBody ? body.bytes : 0, bytesOut: bytes.length };
}

/** What the caller says of the call itself. */
function callContext(request: IncomingMessage): CallContext {
  const batchId = header(request, BATCH_ID_HEADER);
  const deadline = header(request, DEADLINE_HEADER);
  const deadlineMs = Number(deadline);
  if (deadline !== undefined && !(deadlineMs > 0)) {
    const message = `${DEADLINE_HEADER} is ${deadline}, expected milliseconds above 0`;
    throw new VolleyError('INVALID_ARGUMENT', message, { details: { field: DEADLINE_HEADER } });
  }
  return {
    ...(batchId !== undefined && { batchId }),
    ...(deadline !== undefined && { deadlineMs }),
  };
}

/** A body without a type is taken for JSON; one of a form, which a page of any origin may send, is not. */
function contentType(request: IncomingMessage): string {
  const given = header(request, 'content-type') ?? 'application/json';
  return (given.split(';')[0] ?? '').trim().toLowerCase();
}

function formatOf(type: string): Format {
  const format = FORMATS[type];
  if (format !== undefined) return format;
  const offered = [...Object.keys(FORMATS), NDJSON_TYPE].join(', ');
  throw new VolleyError('UNSUPPORTED', `content-type ${type} is none of ${offered}`, {
    details: { field: 'content-type', httpStatus: 415 },
  });
}

function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: VolleyError,
  requestId: string,
): number {
  if (response.headersSent) {
    response.destroy();
    return 0;
  }
  const { httpStatus, ...details } = error.details;
  const { code, message, retriable } = error;
  const shown = new VolleyError(code, message, { retriable, details });
  const status = typeof httpStatus === 'number' ? httpStatus : undefined;
  const problem = problemOf(shown, requestId, status);
  // What is left of a body that was not wanted must not be taken for the next request.
  const isUnread = !request.complete;
  response.writeHead(problem.status, {
    ...problem.headers,
    'content-length': problem.body.length,
    ...(Array.isArray(details.allow) && { allow: details.allow.join(', ') }),
    ...(isUnread && { connection: 'close' }),
  });
  response.end(problem.body);
  if (isUnread) discardBody(request);
  return problem.body.length;
}

/** Answers a preflight, and names the origin where it may call; returns whether all is said. */
function answerCors(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): boolean {
  const origin = header(request, 'origin');
  if (origin === undefined || !origins.includes(origin)) return false;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('vary', 'origin');
  response.setHeader('access-control-expose-headers', 'x-request-id, retry-after');
  if (request.method !== 'OPTIONS') return false;
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST, PUT, DELETE',
    'access-control-allow-headers':
      'authorization, content-type, content-encoding, idempotency-key, x-request-id, ' +
      `${BATCH_ID_HEADER}, ${DEADLINE_HEADER}`,
    'access-control-max-age': '600',
  });
  response.end();
  return true;
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
