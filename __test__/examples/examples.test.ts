import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import test from 'ava';
import { temporaryDirectory } from '../helpers/directory.js';

const folder = new URL('../../examples/', import.meta.url);
const loader = `--import=${createRequire(import.meta.url).resolve('tsx')}`;

/** A program for a checkout that is not built: the package's names lead to its sources. */
function onSources(program: string): string {
  return program.replaceAll(/'volleydb(?:\/(\w+))?'/g, (_, part = '') =>
    JSON.stringify(new URL(join('../../src', part, 'index.ts'), import.meta.url).href),
  );
}

const programs = readdirSync(folder).filter((name) => name.endsWith('.mjs'));

test('there are examples', (t) => {
  t.true(programs.length >= 5);
});

for (const name of programs) {
  test(`${name} prints what it says`, async (t) => {
    const program = readFileSync(new URL(name, folder), 'utf8');
    const [, said = ''] = /^\/\/ Prints:\n((?:\/\/ .*\n)+)/m.exec(program) ?? [];
    const directory = temporaryDirectory(t);
    const path = join(directory, name);
    await writeFile(path, onSources(program));
    const child = spawn(process.execPath, [loader, path], { cwd: directory });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    const [code] = await once(child, 'close');
    t.is(output, said.replaceAll(/^\/\/ /gm, ''));
    t.is(code, 0);
  });
}

test('an MCP client starts what its configuration says', async (t) => {
  const config = JSON.parse(readFileSync(new URL('mcp-client.json', folder), 'utf8'));
  const { command, args } = config.mcpServers.volley;
  t.deepEqual([command, args[0]], ['npx', 'volley']);
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [loader, main, ...args.slice(1)],
    cwd: temporaryDirectory(t),
  });
  const client = new Client({ name: 'test', version: '1' });
  t.teardown(() => client.close());
  await client.connect(transport);
  t.true((await client.listTools()).tools.length > 0);
  await client.close();
});
