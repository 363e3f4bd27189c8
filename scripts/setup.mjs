// Makes a checkout ready to run: installs the development dependencies where they are missing or
// out of date, and builds what is older than its sources. Quick where there is nothing to do.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildNative, buildTypeScript, root, run } from './build.mjs';

/** Folders that hold no sources. */
const SKIPPED = new Set(['target', 'node_modules', 'dist']);

/** The time of the youngest file at or below a path; 0 where there is none. */
function youngest(path, counts = () => true) {
  const full = join(root, path);
  if (!existsSync(full)) return 0;
  const entry = statSync(full);
  if (!entry.isDirectory()) return counts(path) ? entry.mtimeMs : 0;
  const children = readdirSync(full).filter((name) => !SKIPPED.has(name));
  return Math.max(0, ...children.map((name) => youngest(join(path, name), counts)));
}

const isAddon = (path) => path.endsWith('.node');

if (youngest('package-lock.json') > youngest('node_modules/.package-lock.json')) {
  // Not `npm ci`: it refuses a lock file without the packages of platforms that a registry lacks.
  run('npm', 'install', '--no-save', '--no-audit', '--no-fund');
}
const nativeSources = Math.max(
  ...['native', 'proto', 'Cargo.toml', 'Cargo.lock'].map((path) => youngest(path)),
);
if (nativeSources > youngest('src/native', isAddon)) buildNative();

const sources = Math.max(
  ...['src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'].map((path) => youngest(path)),
);
if (sources > youngest('dist/index.js')) buildTypeScript();
