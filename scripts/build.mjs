// Builds the addon and the JavaScript: `node scripts/build.mjs [native] [typescript]`, both where
// neither is named. What is built lies in src/native and in dist.
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in the project's folder; ends this process where it fails. */
export function run(command, ...parameters) {
  const { status, error } = spawnSync(command, parameters, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status === 0) return;
  fail(error === undefined ? `${command} failed` : `${command} could not be run: ${error.message}`);
}

/** Says one thing on standard error and ends this process. */
export function fail(message) {
  process.stderr.write(`\n${message}\n`);
  process.exit(1);
}

export function buildNative() {
  requireTool('cargo', CARGO_MISSING);
  if (process.platform !== 'win32') requireTool('cc', COMPILER_MISSING);
  run('npm', 'run', '--silent', 'build:native');
}

export function buildTypeScript() {
  rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
  run('npm', 'run', '--silent', 'build:typescript');
  const native = new URL('../src/native/', import.meta.url);
  for (const file of readdirSync(native)) {
    if (!file.endsWith('.node')) continue;
    cpSync(new URL(file, native), new URL(`../dist/native/${file}`, import.meta.url));
  }
}

const CARGO_MISSING = `The native part of Volley is written in Rust, and cargo was not found.
Install Rust, open a new shell and try again:

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y

(on Windows: winget install Rustlang.Rustup)`;

const COMPILER_MISSING = `The native part of Volley needs a C compiler to be linked, and cc was not found.
Install one and try again, e.g.

    sudo apt-get install -y build-essential     (Debian, Ubuntu)
    sudo dnf install -y gcc                     (Fedora)
    sudo apk add build-base                     (Alpine)
    xcode-select --install                      (macOS)`;

function requireTool(tool, missing) {
  const { status } = spawnSync(tool, ['--version'], { shell: process.platform === 'win32' });
  if (status !== 0) fail(missing);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const wants = (part) => asked.length === 0 || asked.includes(part);
  if (wants('native')) buildNative();
  if (wants('typescript')) buildTypeScript();
}
