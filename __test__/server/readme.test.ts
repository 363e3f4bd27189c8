import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { ERROR_CODES } from '../../src/index.js';
import { STATUS } from '../../src/server/status.js';
import { served } from './helpers.js';

const fromRoot = (path: string) => new URL(`../../${path}`, import.meta.url);

test('the curl lines of the README run and print what it says', async (t) => {
  const readme = await readFile(fromRoot('README.md'), 'utf8');
  const [, lines = ''] = /```bash\n(VOLLEY=[\s\S]*?)```/.exec(readme) ?? [];
  const { url } = await served(t);
  // The port of the README may be taken: only that differs.
  const script = lines.replace('http://localhost:15001', url);
  t.not(script, lines);
  // What the machine sets up for shells is not of the README.
  const shell = spawn('bash', ['--norc', '-eu', '-c', script]);
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const [code] = await once(shell, 'close');
  t.is(output, '"inserted_count":2\n"id":"dune"\n"id":"emma"\n');
  t.is(code, 0);
  for (const line of output.trim().split('\n')) t.true(readme.includes(`\`${line}\``), line);
});

test('the manual lists every code with its status', async (t) => {
  const manual = await readFile(fromRoot('docs/server.md'), 'utf8');
  const rows = Array.from(manual.matchAll(/^\| `(\w+)` \| (\d+) \| `(\w+)` \|$/gm));
  t.deepEqual(
    rows.map(([, code]) => code),
    [...ERROR_CODES],
  );
  for (const [, code = '', http] of rows) {
    t.is(Number(http), STATUS[code as keyof typeof STATUS].http, code);
  }
});
