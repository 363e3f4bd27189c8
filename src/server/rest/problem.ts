import type { VolleyError } from '../../errors.js';
import { snakeCase } from '../../options.js';
import { STATUS } from '../status.js';

/** Names of a problem document that are not the error's own. */
export const PROBLEM_FIELDS = ['type', 'title', 'status', 'detail', 'request_id'] as const;

/** A refusal as a reply: RFC 9457. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/**
 * The problem document of an error.
 *
 * @param status Where HTTP has a finer word than the code's own status.
 */
export function problemOf(error: VolleyError, requestId: string, status?: number): Problem {
  const { code, message, retriable, details } = error;
  const shown = status ?? STATUS[code].http;
  const own = Object.entries(details).map(([name, value]) => [snakeCase(name), value]);
  const body = {
    ...Object.fromEntries(own),
    type: `urn:volley:error:${code}`,
    title: title(code),
    status: shown,
    detail: message,
    request_id: requestId,
    error_code: code,
    error_message: message,
    retriable,
  };
  const retryAfterMs = Number(details.retryAfterMs ?? details.retry_after_ms);
  return {
    status: shown,
    headers: {
      'content-type': 'application/problem+json',
      ...(code === 'UNAUTHENTICATED' && { 'www-authenticate': 'Bearer' }),
      ...(retriable &&
        Number.isFinite(retryAfterMs) && {
          'retry-after': String(Math.ceil(retryAfterMs / 1000)),
        }),
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

/** `NOT_FOUND` -> `Not found`. */
function title(code: string): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
