// Makes the comparison ready to run: installs the peers where they are missing or out of date, and
// compiles what is built from source. What cannot be had is said; the comparison then lists that
// engine as absent.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Runs npm here; shows what it said, and returns false, where it fails. */
function npm(...parameters) {
  const { status, stdout, stderr } = spawnSync('npm', parameters, {
    cwd: here,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  return status === 0;
}

const time = (path) => {
  const full = new URL(path, import.meta.url);
  return existsSync(full) ? statSync(full).mtimeMs : 0;
};

function build(folder, product, ...sources) {
  const youngest = Math.max(...sources.map(time));
  if (time(product) > youngest) return;
  process.stdout.write(`compiling ${folder}\n`);
  if (!npm('run', '--silent', 'node-gyp', '--', 'rebuild', '-C', folder)) {
    process.stderr.write(`\n${folder} could not be compiled: that engine will be absent\n\n`);
  }
}

if (time('package-lock.json') > time('node_modules/.package-lock.json')) {
  process.stdout.write('installing the peers (some 650 MB)\n');
  // Scripts of packages do not run: those that need one are built below. Forced, because some
  // peers name a newer Node.js than they need, or not this platform.
  if (!npm('install', '--no-save', '--ignore-scripts', '--force')) {
    process.stderr.write('\nthe peers could not be installed: they will be absent\n\n');
  }
}
const HNSWLIB = 'node_modules/hnswlib-node';
build(HNSWLIB, `${HNSWLIB}/build/Release/addon.node`, `${HNSWLIB}/binding.gyp`);
build(
  'addon',
  'addon/build/Release/hnswlib_threads.node',
  'addon/binding.gyp',
  'addon/hnswlib_threads.cc',
);
