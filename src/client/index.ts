/**
 * A store behind a server, with the same methods as one in this process:
 * `connect(url)` takes the place of `open(path)`.
 *
 * @packageDocumentation
 */
import { EmbedderRegistry } from '../embedder.js';
import { VolleyError } from '../errors.js';
import { readSettings } from '../settings.js';
import { Store } from '../store.js';
import { HttpDoor } from './http-door.js';

export type { Collection } from '../collection.js';
export { BatchError, ERROR_CODES, type ErrorCode, VolleyError } from '../errors.js';
export type { Condition, FieldConditions, Filter, FilterValue } from '../filter.js';
export type * from '../results.js';
export type { Store } from '../store.js';
export type * from '../types.js';

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** The key that the server knows. */
  apiKey?: string | undefined;
  /**
   * Attempts beside the first, for failures that are `retriable`: the server is not there, the
   * connection breaks, or the server is overloaded. Every write has an idempotency key (the call's
   * own, or a new one), so that none is done twice. A call that was cancelled or is late is never
   * made again, and its `deadlineMs` is one for all attempts. @default 3
   */
  retries?: number | undefined;
  /** Milliseconds before the first retry, doubled for each further one. @default 100 */
  retryDelayMs?: number | undefined;
  /** Requests that are under way at the same time; further calls wait. @default 8 */
  requestsInFlight?: number | undefined;
}

/**
 * A store behind a server.
 *
 * @param url Base URL of the server, e.g. `http://localhost:15001`.
 * @throws VolleyError `INVALID_ARGUMENT` for an URL or option that is none; `STORE_CLOSED` where
 *   no server is there; `UNAUTHENTICATED`.
 *
 * @example
 * const store = await connect('http://localhost:15001', { apiKey });
 * const books = await store.collection('books');
 * await books.insert([{ id: 'a', data: [0.1, 0.2, 0.3] }]);
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Store> {
  const { apiKey, retries = 3, retryDelayMs = 100, requestsInFlight = 8, ...unknown } = options;
  const [field] = Object.keys(unknown);
  if (field !== undefined) throw invalid(field, `connect has no option ${field}`);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw invalid('url', `${url} is no http or https URL`);
  }
  for (const [name, value, least] of [
    ['retries', retries, 0],
    ['retryDelayMs', retryDelayMs, 0],
    ['requestsInFlight', requestsInFlight, 1],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw invalid(name, `${name} must be an integer from ${least}`);
    }
  }
  const retryRule = { attempts: retries, delayMs: retryDelayMs };
  const door = new HttpDoor(new URL(url), { apiKey, retryRule, requestsInFlight });
  return new Store(door, await readSettings(door), new EmbedderRegistry([]));
}

function invalid(field: string, message: string): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', message, { details: { field } });
}
