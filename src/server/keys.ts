import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { VolleyError } from '../errors.js';

/** What a caller may do: `admin` makes and drops collections, and may do all else. */
export type Scope = 'read' | 'write' | 'admin';

const SCOPES: readonly string[] = ['read', 'write', 'admin'] satisfies Scope[];

/** One API key as it is kept: never the key itself. */
export interface ApiKey {
  /** What logs call its bearer. */
  readonly name: string;
  /** SHA-256 of the key, as 64 hexadecimal digits. */
  readonly sha256: string;
  /** What its bearer may do. */
  readonly scopes: readonly Scope[];
  /** The collections it is for; absent = all. A key for some may not list them all. */
  readonly collections?: readonly string[] | undefined;
  /** Requests per second, at most; a second's worth may come at once. Absent = any. */
  readonly requests_per_s?: number | undefined;
  /** Bytes of requests in work at the same time, at most. Absent = all that the server takes. */
  readonly in_flight_bytes?: number | undefined;
}

/** Who calls: the name and the rights of a key. */
export type Caller = Omit<ApiKey, 'sha256'>;

/** The caller of a server without keys. */
export const ANYONE: Caller = { name: 'anyone', scopes: ['admin'] };

const BEARER = /^bearer +(\S+)$/i;

/** The keys of a server; without any, everyone is {@link ANYONE}. */
export class Keys {
  readonly #keys: readonly { digest: Buffer; caller: Caller }[];

  /** @throws VolleyError `INVALID_ARGUMENT` for a key that is malformed. */
  constructor(keys: readonly ApiKey[]) {
    this.#keys = keys.map((key, index) => {
      const { sha256, ...caller } = checked(key, index);
      return { digest: Buffer.from(sha256, 'hex'), caller };
    });
  }

  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  /**
   * The caller of a request.
   *
   * @param authorization `Bearer <key>`.
   * @throws VolleyError `UNAUTHENTICATED` where the key is missing or unknown.
   */
  caller(authorization: string | undefined): Caller {
    if (this.isEmpty) return ANYONE;
    const key = BEARER.exec(authorization ?? '')?.[1];
    if (key === undefined) {
      throw new VolleyError('UNAUTHENTICATED', 'a key is needed: authorization: Bearer <key>');
    }
    const digest = createHash('sha256').update(key).digest();
    let found: Caller | undefined;
    // All are compared, so that the time taken tells nothing of which one matched.
    for (const entry of this.#keys) {
      if (timingSafeEqual(entry.digest, digest)) found = entry.caller;
    }
    if (found === undefined) throw new VolleyError('UNAUTHENTICATED', 'the key is unknown');
    return found;
  }
}

/**
 * Refuses what a caller may not do.
 *
 * @param collection The collection concerned; `undefined` = all of them.
 * @throws VolleyError `PERMISSION_DENIED`.
 */
export function requireRight(caller: Caller, scope: Scope, collection: string | undefined): void {
  const { name, scopes, collections } = caller;
  if (!scopes.includes(scope) && !scopes.includes('admin')) {
    throw new VolleyError('PERMISSION_DENIED', `key ${name} has not the scope ${scope}`, {
      details: { scope },
    });
  }
  if (collections === undefined || (collection !== undefined && collections.includes(collection)))
    return;
  throw new VolleyError('PERMISSION_DENIED', `key ${name} is for some collections only`, {
    details: { collection: collection ?? null },
  });
}

/**
 * Reads the keys of a file: `{"keys": [{"name", "sha256", "scopes", ...}]}`.
 *
 * @throws VolleyError `INVALID_ARGUMENT` where it holds anything else.
 */
export async function readKeys(path: string): Promise<ApiKey[]> {
  const text = await readFile(path, 'utf8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw invalid(`${path} is no JSON`);
  }
  const { keys, ...unknown } = (parsed ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0 || Object.keys(unknown).length > 0) {
    throw invalid(`${path} must be {"keys": [...]} with at least one key`);
  }
  return keys.map(checked);
}

const KEY_FIELDS = ['name', 'sha256', 'scopes', 'collections', 'requests_per_s', 'in_flight_bytes'];

function checked(key: unknown, index: number): ApiKey {
  const at = `key ${index}`;
  if (typeof key !== 'object' || key === null) throw invalid(`${at} must be an object`);
  const { name, sha256, scopes, collections, ...limits } = key as Partial<ApiKey>;
  const unknown = Object.keys(key).find((field) => !KEY_FIELDS.includes(field));
  if (unknown !== undefined) throw invalid(`${at} has an unknown field ${unknown}`);
  if (typeof name !== 'string' || name === '') throw invalid(`${at} has no name`);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw invalid(`${at} (${name}): sha256 must be 64 hexadecimal digits`);
  }
  if (!isListOf(scopes, SCOPES)) {
    throw invalid(`${at} (${name}): scopes must be a list of ${SCOPES.join(', ')}`);
  }
  if (collections !== undefined && !isListOf(collections)) {
    throw invalid(`${at} (${name}): collections must be a list of names`);
  }
  for (const field of ['requests_per_s', 'in_flight_bytes'] as const) {
    const value = limits[field];
    if (value === undefined || (Number.isFinite(value) && value > 0)) continue;
    throw invalid(`${at} (${name}): ${field} must be a number above 0`);
  }
  return key as ApiKey;
}

function isListOf(value: unknown, words?: readonly string[]): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.every((item) => typeof item === 'string' && (words?.includes(item) ?? true));
}

function invalid(message: string): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', message, { details: { field: 'keys' } });
}
