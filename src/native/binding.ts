import { createRequire } from 'node:module';
import { VolleyError } from '../errors.js';

/**
 * A store as the addon sees it: bytes in, bytes out. Every reply is JSON; a refusal is
 * `{"error": {...}}`, and the promises never reject.
 */
export interface NativeStore {
  /** Opens the files. Called once, before anything else. */
  open(): Promise<Uint8Array>;
  /** Hands over one request. Header and block are copied before it returns. */
  call(verb: string, format: 'json', header: Uint8Array, block?: Float32Array): Promise<Uint8Array>;
  /** Finishes what is running and closes the files. */
  close(): Promise<Uint8Array>;
}

/** What the addon exports. */
interface Binding {
  NativeStore: new (path: string, options: Uint8Array) => NativeStore;
  version(): string;
}

let loaded: Binding | undefined;

/** The addon, loaded when it is first needed. */
export function binding(): Binding {
  loaded ??= load();
  return loaded;
}

function load(): Binding {
  const require = createRequire(import.meta.url);
  try {
    return require('./binding.cjs') as Binding;
  } catch (cause) {
    throw new VolleyError('UNSUPPORTED', missingMessage(), { cause });
  }
}

function missingMessage(): string {
  const platform = platformPackage();
  return (
    `Volley's native part for ${process.platform} ${process.arch} could not be loaded. ` +
    (platform === undefined
      ? 'There is no prebuilt package for this platform; build it from source: npm run build.'
      : `It comes with the package ${platform}: install again without --omit=optional and with ` +
        'a lockfile made for this platform. In a checkout of the source: npm run build.')
  );
}

/** Name of the package that holds the addon for this platform, where there is one. */
function platformPackage(): string | undefined {
  const { platform, arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') return undefined;
  if (platform === 'darwin') return `volleydb-darwin-${arch}`;
  if (platform === 'win32') return `volleydb-win32-${arch}-msvc`;
  if (platform === 'linux') return `volleydb-linux-${arch}-${isGlibc() ? 'gnu' : 'musl'}`;
  return undefined;
}

function isGlibc(): boolean {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report?.header?.glibcVersionRuntime !== undefined;
}
