import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { ERROR_CODES, open } from '../../src/index.js';
import { temporaryFolder } from './helpers/temporary-folder.js';

function fromRoot(path: string): URL {
  return new URL(`../../${path}`, import.meta.url);
}

/** Rows of a Markdown table whose first cell is a name in backticks: name, then second cell. */
function tableRows(markdown: string, heading: string): Map<string, string> {
  const section = markdown.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm);
  return new Map(Array.from(rows, ([, name = '', cell = '']) => [name, cell]));
}

const CONSTANT = /^pub const (\w+): (?:usize|u64) = ([^;]+);/gm;

/** The value of a constant's expression: a product, or a power of two, as `limits.rs` has them. */
function evaluate(expression: string): number {
  const [, exponent, less] = /^\(?1 << (\d+)\)?( - 1)?$/.exec(expression) ?? [];
  if (exponent !== undefined) return 2 ** Number(exponent) - (less === undefined ? 0 : 1);
  const factors = expression.replaceAll('_', '').split(' * ').map(Number);
  return factors.reduce((product, factor) => product * factor, 1);
}

test('the table of limits has every constant of the engine with its value', async (t) => {
  const source = await readFile(fromRoot('native/core/src/limits.rs'), 'utf8');
  const rows = tableRows(await readFile(fromRoot('README.md'), 'utf8'), 'Limits');
  const constants = Array.from(source.matchAll(CONSTANT));
  t.true(constants.length > 10);
  for (const [, constant = '', expression = ''] of constants) {
    const name = constant.toLowerCase().replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    const value = rows.get(name)?.split(' ')[0]?.replaceAll(',', '');
    t.is(value, String(evaluate(expression)), name);
  }
});

test('the table of limits has the names that the store tells', async (t) => {
  const rows = tableRows(await readFile(fromRoot('README.md'), 'utf8'), 'Limits');
  const store = await open(':memory:');
  t.teardown(() => store.close());
  t.deepEqual([...rows.keys()].sort(), Object.keys(await store.limits()).sort());
});

test('the reference lists every error code', async (t) => {
  const rows = tableRows(await readFile(fromRoot('docs/api.md'), 'utf8'), 'Error codes');
  t.deepEqual([...rows.keys()], [...ERROR_CODES]);
});

test('the first example of the README runs and prints what it says', async (t) => {
  const readme = await readFile(fromRoot('README.md'), 'utf8');
  const example = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const api = fromRoot('src/index.ts').href;
  const folder = await temporaryFolder(t);
  const path = join(folder, 'example.mjs');
  await writeFile(path, example.replace("'volleydb'", JSON.stringify(api)));
  const loader = `--import=${import.meta.resolve('tsx')}`;
  const child = spawn(process.execPath, [loader, path], { cwd: folder });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const [code] = await once(child, 'close');
  t.is(output, 'dune 1965\nulysses 1922\n');
  t.is(code, 0);
  t.true(readme.includes('`dune 1965` and `ulysses 1922`'));
});
