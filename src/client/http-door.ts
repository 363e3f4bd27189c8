import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { replyError } from '../decode.js';
import { type ErrorCode, VolleyError } from '../errors.js';
import { cancelled } from '../interrupt.js';
import { type CallContext, type Door, parseReply, type Reply } from '../native/door.js';
import type { WireOptions } from '../options.js';
import { RetriedError, type RetryRule, withRetries } from '../retry.js';
import { PROBLEM_FIELDS } from '../server/rest/problem.js';
import { ROUTES, type Route } from '../server/rest/routes.js';
import { BATCH_ID_HEADER, DEADLINE_HEADER, FLOAT32_TYPE } from '../server/rest/types.js';
import { RunningCall } from './running-call.js';
import { Slots } from './slots.js';

/** How a server is reached. */
export interface HttpDoorOptions {
  readonly retryRule: RetryRule;
  readonly apiKey: string | undefined;
  readonly requestsInFlight: number;
}

interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** Whether it may be sent again where nobody knows if it was done. */
  readonly isSafe: boolean;
}

/** Answers that end a call although they are retriable: whoever made it wanted its end. */
const FINAL: readonly ErrorCode[] = ['CANCELLED', 'DEADLINE_EXCEEDED'];

const LINE_END = Buffer.from('\n');

/** Verbs that change nothing: they may be sent again whatever became of them. */
const READS: readonly string[] = [
  'search',
  'get',
  'list',
  'count',
  'indexed',
  'limits',
  'config',
  'stream.offset',
  'batches.get',
  'batches.cancel',
  'collections.list',
  'collections.info',
];

const WRITES: readonly string[] = ['insert', 'update', 'delete', 'write'];

/** The door to an engine behind a server. */
export class HttpDoor implements Door {
  /** Requests go over several connections. */
  readonly isOrdered = false;
  readonly #base: URL;
  readonly #options: HttpDoorOptions;
  readonly #slots: Slots;
  readonly #closing = new AbortController();
  /** Calls on their way, by the names of their batches. */
  readonly #running = new Map<string, RunningCall>();

  constructor(base: URL, options: HttpDoorOptions) {
    this.#base = base;
    this.#options = options;
    this.#slots = new Slots(options.requestsInFlight);
  }

  async call(
    verb: string,
    header: WireOptions | string,
    block?: Float32Array,
    context: CallContext = {},
  ): Promise<Reply> {
    // Memory is reserved where it is used up: at the server, which slows its callers down.
    if (verb === 'memory.reserve') return { reservation: 0 };
    if (verb === 'memory.release') return {};
    const fields = typeof header === 'string' ? (JSON.parse(header) as WireOptions) : header;
    // Encoded before anything is awaited: the caller may change its arrays then.
    const call = this.#encode(verb, withKey(verb, fields), block, context);
    if (verb === 'batches.cancel') return await this.#cancel(call, String(fields.batch_id));
    const { batchId, deadlineMs, reservation } = context;
    const isChunk = reservation !== undefined && batchId !== undefined;
    const running = new RunningCall(this.#closing.signal, deadlineMs);
    if (batchId !== undefined) this.#running.set(batchId, running);
    try {
      return await this.#slots.run(running.signal, () =>
        isChunk ? this.#sendChunk(call, running) : this.#retried(call, running),
      );
    } finally {
      running.end();
      if (batchId !== undefined) this.#running.delete(batchId);
    }
  }

  newBatchId(): string {
    return randomUUID();
  }

  async close(): Promise<void> {
    this.#closing.abort(new VolleyError('STORE_CLOSED', 'the client was closed'));
  }

  #encode(
    verb: string,
    header: WireOptions,
    block: Float32Array | undefined,
    context: CallContext,
  ): Call {
    const { method, path, input } = routeOf(verb);
    const { url, fields } = urlOf(path, header, this.#base, input);
    const headers: Record<string, string> = {};
    const { apiKey } = this.#options;
    if (apiKey !== undefined) headers.authorization = `Bearer ${apiKey}`;
    if (context.batchId !== undefined) headers[BATCH_ID_HEADER] = context.batchId;
    const isSafe = READS.includes(verb) || header.idempotency_key !== undefined;
    if (input === 'query') return { method, url, headers, body: undefined, isSafe };
    const json = Buffer.from(JSON.stringify(fields));
    headers['content-type'] = block === undefined ? 'application/json' : FLOAT32_TYPE;
    const body = block === undefined ? json : withBlock(json, block);
    return { method, url, headers, body, isSafe };
  }

  async #retried(call: Call, running: RunningCall): Promise<Reply> {
    const { signal } = running;
    try {
      const send = () => this.#send(call, running);
      const answer = await withRetries(this.#options.retryRule, signal, send);
      if (answer instanceof VolleyError) throw answer;
      return answer;
    } catch (failure) {
      const cause = failure instanceof RetriedError ? failure.cause : failure;
      // What was only refused so far was not done: it ends by what has ended the tries.
      throw signal.aborted && isOverload(cause) ? signal.reason : cause;
    }
  }

  /** A stream is slowed down by a server that is overloaded, not ended. */
  async #sendChunk(call: Call, running: RunningCall): Promise<Reply> {
    for (;;) {
      try {
        return await this.#retried(call, running);
      } catch (failure) {
        if (!isOverload(failure)) throw failure;
      }
    }
  }

  /** Waits for no slot: they may all be taken by calls that only this one ends. */
  async #cancel(call: Call, batchId: string): Promise<Reply> {
    const target = this.#running.get(batchId);
    target?.stop(cancelled(undefined));
    const running = new RunningCall(this.#closing.signal, undefined);
    // There is nothing more to be cancelled then, and no server that must be reached for it.
    const gone = new VolleyError('NOT_FOUND', `the call ${batchId} has ended`);
    void target?.ended.then(() => running.stop(gone));
    try {
      for (;;) {
        try {
          return await this.#retried(call, running);
        } catch (failure) {
          // A server does not know a call whose body is still on its way.
          const isEarly = target?.hasEnded === false && isCode(failure, 'NOT_FOUND');
          if (!isEarly) throw failure;
        }
        await sleep(this.#options.retryRule.delayMs);
      }
    } finally {
      running.end();
    }
  }

  /** One try. An answer that is final, though an error, is returned: nobody tries it again. */
  async #send(call: Call, { leftMs }: RunningCall): Promise<Reply | VolleyError> {
    const { method, url, body, isSafe } = call;
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const headers = {
      ...call.headers,
      ...(leftMs !== undefined && { [DEADLINE_HEADER]: String(leftMs) }),
    };
    try {
      const response = await fetch(url, { method, headers, signal, ...(body && { body }) });
      const bytes = new Uint8Array(await response.arrayBuffer());
      const type = response.headers.get('content-type') ?? '';
      if (type.startsWith('application/json')) return parseReply(bytes);
      const refused = refusal(type, response.status, bytes);
      if (FINAL.includes(refused.code)) return refused;
      throw refused;
    } catch (failure) {
      if (failure instanceof VolleyError) throw failure;
      throw lost(url, failure, isSafe);
    }
  }
}

function isCode(failure: unknown, code: ErrorCode): boolean {
  return failure instanceof VolleyError && failure.code === code;
}

function isOverload(failure: unknown): boolean {
  return isCode(failure, 'OVERLOADED');
}

/**
 * A write with a key of its own, so that it can be sent again when nobody knows whether it was
 * done. The parts of a stream are known by their offset instead.
 */
function withKey(verb: string, fields: WireOptions): WireOptions {
  const isPart = fields.stream_id !== undefined || fields.stage !== undefined;
  const isKept = WRITES.includes(verb) && !isPart && fields.validate_only !== true;
  if (!isKept || fields.idempotency_key !== undefined) return fields;
  return { ...fields, idempotency_key: randomUUID() };
}

/** The URL of a call, with the fields that its path names, and in a query what no body has. */
function urlOf(
  path: string,
  header: WireOptions,
  base: URL,
  input: Route['input'],
): { url: URL; fields: WireOptions } {
  const fields = { ...header };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(fields[name]);
    delete fields[name];
    return encodeURIComponent(value);
  });
  const url = new URL(filled, base);
  if (input === 'query') {
    for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, String(value));
  }
  return { url, fields };
}

function routeOf(verb: string): Pick<Route, 'method' | 'path' | 'input'> {
  if (verb === 'limits' || verb === 'config') {
    return { method: 'GET', path: `/api/v1/${verb}`, input: 'query' };
  }
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
