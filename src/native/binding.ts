import { createRequire } from 'node:module';
import { VolleyError } from '../errors.js';
import type { Format } from './door.js';

/** What a door says of a call beside its header: about the caller, not about the batch. */
export interface CallContext {
  /** Who calls: idempotency keys, streams and batches are each caller's own. Default: ''. */
  caller?: string;
  /** The batch's name in progress reports; by it the call can be cancelled while it runs. */
  batchId?: string;
  /** How long the call may take, in milliseconds. */
  deadlineMs?: number;
  /** Most operations or queries; over it the call is refused. */
  maxBatchSize?: number;
  /** Answer `OVERLOADED` instead of waiting for memory. */
  refuseOverload?: boolean;
  /** The number of a reservation (`memory.reserve`) that this call uses up. */
  reservation?: number;
}

/**
 * A store as the addon sees it: bytes in, bytes out. A reply is in the format of its body; a
 * refusal is `{"error": {...}}` in any, and the promises never reject.
 */
export interface NativeStore {
  /** Opens the files. Called once, before anything else. */
  open(): Promise<Uint8Array>;
  /**
   * Hands over one request. Body, block and context are copied before it returns; a body may come
   * in the pieces in which it arrived.
   */
  call(
    line: string,
    format: Format,
    body: Uint8Array | Uint8Array[],
    block?: Float32Array,
    context?: CallContext,
  ): Promise<Uint8Array>;
  /** Finishes what is running and closes the files. */
  close(): Promise<Uint8Array>;
}

/** What the addon exports. */
export interface Binding {
  NativeStore: new (path: string, options: Uint8Array) => NativeStore;
  version(): string;
}

let loaded: Binding | undefined;

/** The addon, loaded when it is first needed. */
export function binding(): Binding {
  loaded ??= load(platformNames(process.platform, process.arch));
  return loaded;
}

/**
 * The names under which the addon of a platform is built and published, best first. On Linux,
 * npm installs the one for the C library at hand, so the first that loads is the right one.
 */
export function platformNames(platform: string, arch: string): string[] {
  if (arch !== 'x64' && arch !== 'arm64') return [];
  if (platform === 'linux') return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
  if (platform === 'darwin') return [`darwin-${arch}`];
  if (platform === 'win32') return [`win32-${arch}-msvc`];
  return [];
}

/**
 * Loads a build that lies beside this file (a checkout of the source), or the platform's package.
 *
 * @throws VolleyError `UNSUPPORTED`, saying what is missing and how to get it.
 */
export function load(names: readonly string[]): Binding {
  const require = createRequire(import.meta.url);
  let cause: unknown;
  for (const name of names) {
    for (const file of [`./volleydb.${name}.node`, `volleydb-${name}`]) {
      try {
        return require(file) as Binding;
      } catch (failure) {
        // What is there but does not load says more than what is not there.
        if ((failure as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') cause ??= failure;
      }
    }
  }
  throw new VolleyError('UNSUPPORTED', missingMessage(names), {
    details: { platform: process.platform, arch: process.arch },
    cause,
  });
}

function missingMessage(names: readonly string[]): string {
  const platform = `${process.platform} ${process.arch}`;
  const source = 'In a checkout of the source, build it: npm run build.';
  if (names.length === 0) {
    return `Volley has no native part for ${platform}. ${source}`;
  }
  const packages = names.map((name) => `volleydb-${name}`).join(' or ');
  return (
    `Volley's native part for ${platform} could not be loaded. It comes with the package ` +
    `${packages}: install again without --omit=optional and with a lockfile that was made for ` +
    `this platform. ${source}`
  );
}
