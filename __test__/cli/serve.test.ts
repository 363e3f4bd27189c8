import { once } from 'node:events';
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
