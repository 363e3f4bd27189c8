import { execFileSync } from 'node:child_process';
import { on, once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { open } from '../../src/index.js';
import { float32Bytes, npyFile } from './helpers/npy-file.js';
import { runCli, spawnCli } from './helpers/run-cli.js';
import { temporaryFolder } from './helpers/temporary-folder.js';

const DOCUMENTS = {
  'docs/fruit.md': '# Fruit\n\nApples and pears grow on trees.\n\n# Roots\n\nCarrots grow in soil.',
  'docs/sea/fish.txt': 'Herrings swim in the sea.',
  'docs/picture.md': Uint8Array.of(0, 1, 2),
};

function target(folder: string, name = 'store'): string[] {
  return ['--store', join(folder, name), '--collection', 'things'];
}

async function exportedRows(folder: string, name?: string, ...more: string[]): Promise<object[]> {
  const { stdout } = await runCli('export', ...target(folder, name), ...more);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as object);
}

test('a folder is imported, found by a question, and the same when it is imported again', async (t) => {
  const folder = await temporaryFolder(t, DOCUMENTS);
  const argv = ['import', join(folder, 'docs'), ...target(folder)];
  const first = await runCli(...argv);
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /^Imported 3 records in /);
  t.regex(first.stdout, /durability {2}always/);
  t.regex(first.stderr, /picture\.md: left out, it is not text/);

  const found = await runCli('search', 'apples on trees', 'herrings', ...target(folder), '--json');
  t.is(found.code, 0);
  const [apples, herrings] = JSON.parse(found.stdout).batchResults;
  t.regex(apples.results[0].id, /fruit\.md#0$/);
  t.is(apples.results[0].metadata.heading, 'Fruit');
  t.regex(herrings.results[0].id, /fish\.txt#0$/);

  const rows = await exportedRows(folder);
  t.is((await runCli(...argv)).code, 0);
  t.deepEqual(await exportedRows(folder), rows);
});

test('what export writes, import reads: ids, vectors, texts and metadata', async (t) => {
  const folder = await temporaryFolder(t, DOCUMENTS);
  await runCli('import', join(folder, 'docs'), ...target(folder));
  const file = join(folder, 'out.jsonl');
  const out = await runCli('export', ...target(folder), '--vectors', '--out', file, '--json');
  t.deepEqual(JSON.parse(out.stdout), { exported: 3, out: file });
  const again = await runCli('import', file, ...target(folder, 'copy'));
  t.is(again.code, 0, again.stderr);
  const rows = await exportedRows(folder, 'store', '--vectors');
  t.is(rows.length, 3);
  t.deepEqual(await exportedRows(folder, 'copy', '--vectors'), rows);
});

test('a search shows rank, score, id and text; filters and limits act', async (t) => {
  const folder = await temporaryFolder(t, DOCUMENTS);
  await runCli('import', join(folder, 'docs'), ...target(folder));
  const { stdout } = await runCli('search', 'grow', ...target(folder), '--limit', '2');
  t.regex(stdout, /^grow .*\n {2}1 +\d\.\d{3} .*fruit\.md#\d\n/);
  t.regex(stdout, /\n {2}2 +\d\.\d{3} /);
  t.notRegex(stdout, /\n {2}3 /);
  const filter = '{"heading": "Roots"}';
  const filtered = await runCli('search', 'grow', ...target(folder), '--filter', filter, '--json');
  const { results } = JSON.parse(filtered.stdout).batchResults[0];
  t.deepEqual(
    results.map(({ text }: { text: string }) => text),
    ['Roots\n\nCarrots grow in soil.'],
  );
});

test('vectors of a .npy file are imported beside their rows, and asked from a .npy file', async (t) => {
  const vectors = npyFile(float32Bytes([1, 0, 0, 1, 1, 1]), 3, 2);
  const folder = await temporaryFolder(t, {
    'rows.jsonl': '{"id": "x"}\n{"id": "y", "metadata": {"k": 1}}\n{"id": "xy"}\n',
    'vectors.f32.npy': vectors,
    'query.npy': npyFile(float32Bytes([0, 1, 1, 0]), 2, 2),
  });
  const rows = join(folder, 'rows.jsonl');
  const beside = ['--vectors', join(folder, 'vectors.f32.npy')];
  const done = await runCli('import', rows, ...beside, ...target(folder), '--json');
  t.is(done.code, 0, done.stderr);
  t.like(JSON.parse(done.stdout), { inserted: 3, failed: 0 });
  const query = ['--vector', join(folder, 'query.npy'), '--limit', '1', '--json'];
  const found = await runCli('search', ...query, ...target(folder));
  const best = JSON.parse(found.stdout).batchResults.map(
    (answer: { results: { id: string }[] }) => answer.results[0]?.id,
  );
  t.deepEqual(best, ['y', 'x']);
});

test('failed operations are written to a file that is imported again once they are mended', async (t) => {
  const folder = await temporaryFolder(t, {
    'rows.jsonl': [
      '{"id": "a", "data": [1, 0]}',
      '{"id": "b", "data": [1, 0, 0]}',
      '{"id": "c", "data": [0, 1], "text": "kept"}',
      '{"id": "", "data": [0, 1]}',
    ].join('\n'),
  });
  const failures = join(folder, 'failures.ndjson');
  const rows = join(folder, 'rows.jsonl');
  const first = await runCli('import', rows, ...target(folder), '--failures', failures);
  t.is(first.code, 1);
  t.regex(first.stdout, /Imported 2 records/);
  t.regex(first.stdout, /failed {6}2: DIMENSION_MISMATCH 1, INVALID_ID 1/);
  t.regex(first.stderr, /failed "b": DIMENSION_MISMATCH/);

  const refused = await runCli('import', failures, ...target(folder), '--failures', failures);
  t.is(refused.code, 2);

  const lines = (await readFile(failures, 'utf8')).replace('[1,0,0]', '[1,1]').replace('""', '"d"');
  await writeFile(failures, lines);
  const second = await runCli('import', failures, ...target(folder));
  t.is(second.code, 0, second.stderr);
  const ids = (await exportedRows(folder)).map((row) => (row as { id: string }).id);
  t.deepEqual(ids.sort(), ['a', 'b', 'c', 'd']);
});

test('the rule for ids that exist is the one asked for', async (t) => {
  const folder = await temporaryFolder(t, { 'rows.jsonl': '{"id": "a", "data": [1, 0]}' });
  const argv = ['import', join(folder, 'rows.jsonl'), ...target(folder), '--json'];
  await runCli(...argv);
  const skip = await runCli(...argv, '--on-conflict', 'skip');
  t.like(JSON.parse(skip.stdout), { inserted: 0, skipped: 1, failed: 0 });
  const fail = await runCli(...argv, '--on-conflict', 'error');
  t.is(fail.code, 1);
  t.like(JSON.parse(fail.stdout), { inserted: 0, failures: { ALREADY_EXISTS: 1 } });
});

test('options that contradict the collection are refused', async (t) => {
  const folder = await temporaryFolder(t, { 'rows.jsonl': '{"id": "a", "data": [1, 0]}' });
  const argv = ['import', join(folder, 'rows.jsonl'), ...target(folder)];
  await runCli(...argv);
  const { code, stderr } = await runCli(...argv, '--dimension', '3');
  t.is(code, 2);
  t.regex(stderr, /--dimension is 3, the collection's is 2/);
});

test('inspect shows collections, counts and limits', async (t) => {
  const folder = await temporaryFolder(t, DOCUMENTS);
  await runCli('import', join(folder, 'docs'), ...target(folder));
  const store = ['--store', join(folder, 'store')];
  const { code, stdout } = await runCli('inspect', ...store);
  t.is(code, 0);
  t.regex(stdout, /1 collection, /);
  t.regex(stdout, /\nthings\n/);
  t.regex(stdout, /count +3/);
  t.regex(stdout, /embedder +lexical/);
  t.regex(stdout, /\nlimits\n/);
  const json = JSON.parse((await runCli('inspect', ...store, '--json')).stdout);
  t.like(json.collections[0], { name: 'things', count: 3, metric: 'cosine' });
  const missing = await runCli('inspect', ...store, '--collection', 'none');
  t.is(missing.code, 1);
  t.regex(missing.stderr, /COLLECTION_NOT_FOUND/);
});

test('the demo indexes once, then opens what is there, and compares both ways', async (t) => {
  const folder = await temporaryFolder(t, DOCUMENTS);
  const argv = ['demo', join(folder, 'docs'), '--store', join(folder, 'store')];
  const first = await runCli(...argv);
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /3 passages in /);
  t.regex(first.stdout, /insert 3 passages .*x$/m);
  const second = await runCli(...argv);
  t.is(second.code, 0, second.stderr);
  t.regex(second.stdout, /^Opened .*\n3 passages /);
  t.notRegex(second.stdout, /insert 3 passages/);
  t.regex(second.stdout, /ask 10 questions .*x$/m);
  const fresh = JSON.parse((await runCli(...argv, '--fresh', '--json')).stdout);
  t.is(fresh.imported.inserted, 3);
  t.is(fresh.search.batchResults.length, 10);
  const store = await open(join(folder, 'store'));
  t.is((await store.listCollections()).length, 1);
  await store.close();
});

// Named pipes keep the input open, so that the signal comes in the middle of it for certain.
if (process.platform !== 'win32') {
  test('Ctrl-C finishes what is in flight, says what was imported, and keeps it', async (t) => {
    const folder = await temporaryFolder(t);
    const pipe = join(folder, 'rows.jsonl');
    execFileSync('mkfifo', [pipe]);
    const argv = ['--dimension', '2', '--batch', '10', '--json'];
    const child = spawnCli(['import', pipe, ...target(folder), ...argv]);
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    // Opened for both ways, so that this does not wait for a reader that may never come.
    const input = createWriteStream(pipe, { flags: 'r+' });
    t.teardown(() => {
      child.kill('SIGKILL');
      input.destroy();
    });
    const rows = Array.from({ length: 10 }, (_, i) => `{"id": "${i}", "data": [1, ${i}]}\n`);
    // The first batch holds a row that fails: its notice says that the batch was answered.
    input.write(`{"id": "bad", "data": [1]}\n${rows.join('')}`);
    const notices = on(child.stderr, 'data', { close: ['end'] });
    await notices.next();
    child.kill('SIGINT');
    let told = '';
    while (!told.includes('Stopping')) {
      const { value, done } = await notices.next();
      if (done) break;
      told += String(value);
    }
    t.regex(told, /Stopping/);
    input.end(`{"id": "late", "data": [1, 1]}\n`.repeat(10));
    const [code] = await once(child, 'exit');
    t.is(code, 130);
    const { inserted, failed } = JSON.parse(stdout);
    t.is(failed, 1);
    // The first batch, and the row behind it where it had been read.
    t.true(inserted === 9 || inserted === 10, `${inserted} were inserted`);
    t.is((await exportedRows(folder)).length, inserted);
  });
}
