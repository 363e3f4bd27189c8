import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { connect } from '../../src/client/index.js';
import { open } from '../../src/index.js';
import { runCli, spawnCli } from './helpers/run-cli.js';
import { temporaryFolder } from './helpers/temporary-folder.js';

test('serve announces where it is, logs, and ends when it is asked to', async (t) => {
  const data = join(await temporaryFolder(t), 'data');
  const child = spawnCli([
    'serve',
    '--data',
    data,
    '--rest',
    '0',
    '--grpc',
    '0',
    '--mcp',
    '--json',
  ]);
  t.teardown(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const [announced] = await once(child.stdout, 'data');
  const { rest, grpc, mcp } = JSON.parse(String(announced));
  t.regex(rest, /^http:\/\/127\.0\.0\.1:\d+$/);
  t.regex(grpc, /^127\.0\.0\.1:\d+$/);
  t.is(mcp, `${rest}/mcp`);
  const things = await (await connect(rest)).createCollection('things', { dimension: 1 });
  await things.insert([{ id: 'a', data: [1] }]);
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  t.is(code, 0);
  const entries = log.split('\n').filter((line) => line.startsWith('{'));
  t.deepEqual(
    entries.map((line) => JSON.parse(line).request),
    [
      'GET /api/v1/config',
      'POST /api/v1/collections',
      'POST /api/v1/collections/things/vectors/batch',
    ],
  );
  const store = await open(data);
  t.is(await (await store.collection('things')).count(), 1);
  await store.close();
});

test('beyond loopback a file of keys is needed', async (t) => {
  const data = join(await temporaryFolder(t), 'data');
  const { code, stderr } = await runCli(
    'serve',
    '--data',
    data,
    '--host',
    '0.0.0.0',
    '--rest',
    '0',
  );
  t.is(code, 1);
  t.regex(stderr, /API keys are needed/);
});

test('serve and mcp treat batches as the file and the environment say', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'volley.yaml');
  await writeFile(file, 'batch_operations:\n  max_batch_size: 2\n  atomic_by_default: false\n');
  const data = join(folder, 'data');
  const child = spawnCli(
    ['serve', '--data', data, '--rest', '0', '--json', '--quiet', '--config', file],
    { VOLLEY_MAX_BATCH_SIZE: '3' },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const [announced] = await once(child.stdout, 'data');
  const { rest } = JSON.parse(String(announced));
  const store = await connect(rest);
  t.is(store.batchOperations.maxBatchSize, 3);
  await store.createCollection('things', { dimension: 1 });
  const insert = async (vectors: object[]) => {
    const response = await fetch(`${rest}/api/v1/collections/things/vectors/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ vectors }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: replies of several kinds.
    return { status: response.status, reply: (await response.json()) as any };
  };
  const rows = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ id: `${n}`, data: [1] }));
  const large = await insert(rows(4));
  t.like(large.reply, { error_code: 'BATCH_TOO_LARGE', limit: 3, actual: 4 });
  t.is((await insert([...rows(1), { id: 'bad', data: [] }])).reply.status, 'partial');
  // All failed, each by itself: a best-effort batch is no failure of the request.
  const failed = await insert(rows(1));
  t.like(failed, { status: 200, reply: { status: 'failed' } });
  child.kill('SIGINT');
  await once(child, 'close');
  for (const command of ['serve', 'mcp']) {
    const { code, stderr } = await runCli(
      command,
      '--data',
      data,
      '--config',
      join(folder, 'none'),
    );
    t.is(code, 1);
    t.regex(stderr, /none/);
    t.regex((await runCli(command, '--help')).stdout, /--config <file>/);
  }
});
