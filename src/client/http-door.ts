import { replyError } from '../decode.js';
import { VolleyError } from '../errors.js';
import { type Door, parseReply, type Reply } from '../native/door.js';
import type { WireOptions } from '../options.js';
import { PROBLEM_FIELDS } from '../server/rest/problem.js';
import { ROUTES, type Route } from '../server/rest/routes.js';
import { FLOAT32_TYPE } from '../server/rest/types.js';
import { type RetryOptions, retried } from './retry.js';
import { Slots } from './slots.js';

/** How a server is reached. */
export interface HttpDoorOptions extends RetryOptions {
  readonly apiKey: string | undefined;
  readonly requestsInFlight: number;
}

interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
}

const LINE_END = Buffer.from('\n');

/** Verbs that change nothing: they may be sent again whatever became of them. */
const READS: readonly string[] = [
  'search',
  'get',
  'list',
  'count',
  'indexed',
  'limits',
  'collections.list',
  'collections.info',
];

/** The door to an engine behind a server. */
export class HttpDoor implements Door {
  readonly #base: URL;
  readonly #options: HttpDoorOptions;
  readonly #slots: Slots;
  readonly #closing = new AbortController();

  constructor(base: URL, options: HttpDoorOptions) {
    this.#base = base;
    this.#options = options;
    this.#slots = new Slots(options.requestsInFlight);
  }

  async call(verb: string, header: WireOptions, block?: Float32Array): Promise<Reply> {
    // Encoded before anything is awaited: the caller may change its arrays then.
    const call = this.#encode(verb, header, block);
    const isSafe = READS.includes(verb) || header.idempotency_key !== undefined;
    return await this.#slots.run(() =>
      retried(() => this.#send(call, isSafe), this.#options, this.#closing.signal),
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  #encode(verb: string, header: WireOptions, block: Float32Array | undefined): Call {
    const { collection, ...fields } = header;
    const { method, path, input } = routeOf(verb);
    const url = new URL(
      path.replace('{collection}', encodeURIComponent(String(collection))),
      this.#base,
    );
    const headers: Record<string, string> = {};
    const { apiKey } = this.#options;
    if (apiKey !== undefined) headers.authorization = `Bearer ${apiKey}`;
    if (input === 'query') return { method, url, headers, body: undefined };
    const json = Buffer.from(JSON.stringify(fields));
    headers['content-type'] = block === undefined ? 'application/json' : FLOAT32_TYPE;
    return { method, url, headers, body: block === undefined ? json : withBlock(json, block) };
  }

  async #send({ method, url, headers, body }: Call, isSafe: boolean): Promise<Reply> {
    const { signal } = this.#closing;
    if (signal.aborted) throw new VolleyError('STORE_CLOSED', 'the client was closed');
    try {
      const response = await fetch(url, { method, headers, signal, ...(body && { body }) });
      const bytes = new Uint8Array(await response.arrayBuffer());
      const type = response.headers.get('content-type') ?? '';
      if (type.startsWith('application/json')) return parseReply(bytes);
      throw refusal(type, response.status, bytes);
    } catch (failure) {
      if (failure instanceof VolleyError) throw failure;
      throw lost(url, failure, isSafe);
    }
  }
}

function routeOf(verb: string): Pick<Route, 'method' | 'path' | 'input'> {
  if (verb === 'limits') return { method: 'GET', path: '/api/v1/limits', input: 'query' };
  const routes = ROUTES.filter((route) => route.verb === verb);
  // A body says more than a query can, and not every way lets DELETE have one.
  const best = routes.find(({ method, input }) => input === 'body' && method === 'POST');
  const route = best ?? routes[0];
  if (route === undefined) throw new VolleyError('UNSUPPORTED', `a server does not offer ${verb}`);
  return route;
}

function withBlock(json: Uint8Array, block: Float32Array): Uint8Array {
  const numbers = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
  return Buffer.concat([json, LINE_END, numbers]);
}

/** The error that a problem document tells. */
function refusal(type: string, status: number, bytes: Uint8Array): VolleyError {
  if (!type.startsWith('application/problem+json')) {
    return new VolleyError('INTERNAL', `the server answered ${status} ${type}, no Volley`, {
      details: { status },
    });
  }
  const problem = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
  for (const field of PROBLEM_FIELDS) delete problem[field];
  return replyError(problem);
}

/** The error of a call that was not answered. */
function lost(url: URL, cause: unknown, isSafe: boolean): VolleyError {
  const { cause: reason } = cause as { cause?: NodeJS.ErrnoException };
  if (reason?.code === 'ECONNREFUSED' || reason?.code === 'ENOTFOUND') {
    const message = `${url.origin} is not there: ${reason.message || reason.code}`;
    return new VolleyError('STORE_CLOSED', message, { retriable: true, cause });
  }
  const known = isSafe ? '' : '; whether it was done is not known';
  const why = reason?.message ?? String(cause);
  return new VolleyError('CANCELLED', `the connection to ${url.origin} broke${known}: ${why}`, {
    retriable: isSafe,
    cause,
  });
}
