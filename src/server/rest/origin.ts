import type { IncomingMessage } from 'node:http';
import { VolleyError } from '../../errors.js';

/** Names that lead to this machine alone. */
export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** Who may call a server that has no keys to tell friend from foe. */
export interface OriginRules {
  /** Names under which the server may be called; absent = any. */
  readonly hosts?: readonly string[] | undefined;
  /** Origins whose pages may call, e.g. `https://example.org`. @default none */
  readonly cors?: readonly string[] | undefined;
}

/**
 * Refuses what a page of another origin has a browser send: directly, or under a name of its own
 * that it has pointed here (DNS rebinding).
 *
 * @throws VolleyError `PERMISSION_DENIED`.
 */
export function refuseStrangers(request: IncomingMessage, { hosts, cors = [] }: OriginRules): void {
  const { host = '', origin } = request.headers;
  const name = nameOf(`http://${host}`);
  if (hosts !== undefined && (name === undefined || !hosts.includes(name))) {
    throw denied('host', host, 'the server is not called so');
  }
  if (origin === undefined || cors.includes(origin)) return;
  const isOwn = URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
  if (!isOwn) throw denied('origin', origin, 'its pages may not call');
}

function nameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function denied(field: string, actual: string, reason: string): VolleyError {
  return new VolleyError('PERMISSION_DENIED', `${field} is ${JSON.stringify(actual)}: ${reason}`, {
    details: { field, actual },
  });
}
