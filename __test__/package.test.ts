import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a program against the built package, by its name. */
function run(type: 'commonjs' | 'module', program: string) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [`--input-type=${type}`, '--eval', program],
    { cwd: root, encoding: 'utf8' },
  );
  return {
    status,
    stdout: stdout.trim(),
    stderr: stderr.replaceAll(/^.*Warning:.*$|^\(Use .*$/gm, '').trim(),
  };
}

const use = `
  open(':memory:')
    .then((store) => store.createCollection('a', { dimension: 2 }))
    .then((collection) => collection.insert([{ id: 'a', data: [1, 2] }]))
    .then(({ insertedCount }) => console.log(insertedCount));`;

test('the package is imported', (t) => {
  t.deepEqual(run('module', `import { open } from 'volleydb';${use}`), {
    status: 0,
    stdout: '1',
    stderr: '',
  });
});

test('the package is required', (t) => {
  t.deepEqual(run('commonjs', `const { open } = require('volleydb');${use}`), {
    status: 0,
    stdout: '1',
    stderr: '',
  });
});

test('server and client are imported by their names', (t) => {
  const program = `
    import { open } from 'volleydb';
    import { connect } from 'volleydb/client';
    import { serve } from 'volleydb/server';
    const store = await open(':memory:');
    const server = await serve(store, { rest: 0, grpc: 0, mcp: true });
    console.log((await (await connect(server.rest)).listCollections()).length);
    await server.close();
    await store.close();`;
  t.deepEqual(run('module', program), { status: 0, stdout: '0', stderr: '' });
});

test('the packed files are the built ones, without the addon of this machine', (t) => {
  const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const packed = JSON.parse(stdout);
  const [{ files }] = (Array.isArray(packed) ? packed : Object.values(packed)) as [
    { files: { path: string }[] },
  ];
  const paths = files.map(({ path }) => path);
  t.true(paths.includes('dist/index.js') && paths.includes('dist/index.d.ts'));
  t.true(paths.includes('proto/volley.proto') && paths.includes('dist/client/index.d.ts'));
  t.true(paths.includes('LICENSE') && paths.includes('package.json'));
  t.deepEqual(
    paths.filter((path) => path.endsWith('.node') || !/^(dist\/|proto\/|[^/]+$)/.test(path)),
    [],
  );
});
