import { access } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { runCli } from './helpers/run-cli.js';
import { temporaryFolder } from './helpers/temporary-folder.js';

const COMMANDS = ['import', 'search', 'inspect', 'export', 'serve', 'mcp', 'demo'];

test('the help lists every command, and each has one of its own with an example', async (t) => {
  const help = await runCli('--help');
  t.is(help.code, 0);
  for (const name of COMMANDS) {
    t.regex(help.stdout, new RegExp(`^  ${name} `, 'm'));
    const own = await runCli(name, '--help');
    t.is(own.code, 0);
    t.regex(own.stdout, new RegExp(`Examples?:\n  volley ${name}`));
    t.deepEqual(await runCli(name, '-h'), own);
  }
});

test('no line of help is wider than 100 columns', async (t) => {
  for (const name of COMMANDS) {
    const { stdout } = await runCli(name, '--help');
    for (const line of stdout.split('\n')) t.true(line.length <= 100, line);
  }
});

test('the version is that of the package', async (t) => {
  t.regex((await runCli('--version')).stdout, /^\d+\.\d+\.\d+\S*\n$/);
});

const REFUSED: readonly [argv: string[], message: RegExp][] = [
  [[], /no command is given/],
  [['insert'], /insert is no command/],
  [['--json'], /--json is no command/],
  [['import', 'x'], /--store is needed/],
  [['import', 'x', '--store', 's'], /--collection is needed/],
  [['import', '--store', 's', '--collection', 'c'], /at least one file/],
  [['import', 'x', '--store', 's', '--collection', 'c', '--batch', '0'], /--batch is 0/],
  [['import', 'x', '--store', 's', '--collection', 'c', '--metric', 'l1'], /--metric is l1/],
  [['import', 'x', '--store', 's', '--collection', 'c', '--fast'], /--fast/],
  [['search', '--store', 's', '--collection', 'c'], /give a text/],
  [['search', 'x', '--store', 's', '--collection', 'c', '--limit', '0'], /--limit is 0/],
  [['search', 'x', '--store', 's', '--collection', 'c', '--filter', 'a=1'], /--filter is no JSON/],
  [['export', 'x', '--store', 's', '--collection', 'c'], /x is not expected/],
  [['inspect', 'x'], /x is not expected/],
  [['serve'], /--data is needed/],
  [['serve', '--data', 's', '--rest', '70000'], /--rest is 70000/],
  [['serve', '--data', 's', '--tls-key', 'k'], /--tls-cert and --tls-key/],
  [['mcp'], /--data is needed/],
  [['demo', 'a', 'b'], /one folder/],
  [['demo', 'no-such-folder'], /there is no folder no-such-folder/],
];

for (const [argv, message] of REFUSED) {
  test(`exit code 2 and a reason: volley ${argv.join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await runCli(...argv);
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, message);
  });
}

test('reading does not make a store', async (t) => {
  const path = join(await temporaryFolder(t), 'missing');
  for (const argv of [
    ['search', 'x', '--store', path, '--collection', 'c'],
    ['inspect', '--store', path],
    ['export', '--store', path, '--collection', 'c'],
  ]) {
    const { code, stderr } = await runCli(...argv);
    t.is(code, 1);
    t.regex(stderr, /there is no store at/);
    await t.throwsAsync(access(path), { code: 'ENOENT' });
  }
});

test('with --json, an error is a document on stdout', async (t) => {
  const path = join(await temporaryFolder(t), 'missing');
  const { code, stdout, stderr } = await runCli('inspect', '--store', path, '--json');
  t.is(code, 1);
  t.is(stderr, '');
  t.regex(JSON.parse(stdout).error.errorMessage, /there is no store at/);
});
