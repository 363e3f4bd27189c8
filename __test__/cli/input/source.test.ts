import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { findSources } from '../../../src/cli/input/find-sources.js';
import type { ImportItem } from '../../../src/cli/input/row.js';
import type { Source } from '../../../src/cli/input/source.js';
import { float32Bytes, npyFile } from '../helpers/npy-file.js';
import { temporaryFolder } from '../helpers/temporary-folder.js';

async function readAll(sources: readonly Source[]): Promise<ImportItem[]> {
  const items: ImportItem[] = [];
  for (const source of sources) for await (const item of source.read()) items.push(item);
  return items;
}

function totalBytes(parts: readonly { bytes: number }[]): number {
  return Math.round(parts.reduce((sum, { bytes }) => sum + bytes, 0));
}

const VECTORS = npyFile(float32Bytes([1, 2, 3, 4]), 2, 2);

test('a folder of text becomes passages with ids that stay the same', async (t) => {
  const folder = await temporaryFolder(t, {
    'docs/a.md': '# One\n\ntext\n\n# Two\n\nmore',
    'docs/deep/b.txt': 'plain',
    'docs/empty.md': '',
    'docs/c.jsonl': '{"id": "not text"}',
  });
  const sources = await findSources({ paths: [join(folder, 'docs')] });
  const items = await readAll(sources);
  const rows = items.flatMap(({ row }) => row ?? []);
  t.deepEqual(
    rows.map(({ id, metadata }) => [id.slice(folder.length), metadata?.part, metadata?.line]),
    [
      ['/docs/a.md#0', 0, 3],
      ['/docs/a.md#1', 1, 7],
      ['/docs/deep/b.txt#0', 0, 1],
    ],
  );
  t.is(rows[0]?.metadata?.heading, 'One');
  t.is(totalBytes(items), totalBytes(sources));
  t.deepEqual(await readAll(sources), items);
});

test('NDJSON rows come in order, bad ones as problems with their line', async (t) => {
  const content = '{"id": "a", "text": "t"}\n\nnonsense\n{"id": "b", "data": [1]}';
  const folder = await temporaryFolder(t, { 'rows.ndjson': content });
  const path = join(folder, 'rows.ndjson');
  const sources = await findSources({ paths: [path] });
  const items = await readAll(sources);
  t.deepEqual(items[0]?.row, { id: 'a', text: 't' });
  t.is(items[1]?.row, undefined);
  t.is(items[1]?.problem?.line, 3);
  t.is(items[1]?.problem?.path, path);
  t.deepEqual(items[2]?.row, { id: 'b', data: Float32Array.of(1) });
  t.is(totalBytes(items), content.length);
});

test('a .npy file alone is numbered', async (t) => {
  const folder = await temporaryFolder(t, { 'v.npy': VECTORS });
  const sources = await findSources({ paths: [join(folder, 'v.npy')] });
  t.is(sources[0]?.dimension, 2);
  t.deepEqual(
    (await readAll(sources)).map(({ row }) => row),
    [
      { id: '0', data: Float32Array.of(1, 2) },
      { id: '1', data: Float32Array.of(3, 4) },
    ],
  );
});

const ROWS = '{"id": "a", "text": "t"}\n{"id": "b", "metadata": {"k": 1}}\n';
const PAIRED = [
  { id: 'a', text: 't', data: Float32Array.of(1, 2) },
  { id: 'b', metadata: { k: 1 }, data: Float32Array.of(3, 4) },
];

test('a .npy file takes ids, texts and metadata from the rows beside it', async (t) => {
  const folder = await temporaryFolder(t, {
    'v.npy': VECTORS,
    'v.jsonl': ROWS,
    'w.f32.npy': VECTORS,
  });
  const path = (name: string) => join(folder, name);
  const quests = [
    { paths: [path('v.npy')] },
    { paths: [path('w.f32.npy')], ids: path('v.jsonl') },
    { paths: [path('v.jsonl')], vectors: path('w.f32.npy') },
  ];
  for (const quest of quests) {
    const items = await readAll(await findSources(quest));
    t.deepEqual(
      items.map(({ row }) => row),
      PAIRED,
    );
  }
});

test('a bad row does not shift the vectors of the next ones', async (t) => {
  const rows = 'nonsense\n{"id": "b"}\n';
  const folder = await temporaryFolder(t, { 'v.npy': VECTORS, 'v.jsonl': rows });
  const items = await readAll(await findSources({ paths: [join(folder, 'v.npy')] }));
  t.is(items[0]?.problem?.line, 1);
  t.deepEqual(items[1]?.row, { id: 'b', data: Float32Array.of(3, 4) });
});

test('rows and vectors of different counts are refused before anything is read', async (t) => {
  const folder = await temporaryFolder(t, { 'v.npy': VECTORS, 'v.jsonl': '{"id": "a"}' });
  await t.throwsAsync(findSources({ paths: [join(folder, 'v.npy')] }), {
    message: /has 1 rows, .* has 2: they do not belong together/,
  });
});

test('nothing to read, and pairs that are not one file, are errors', async (t) => {
  const folder = await temporaryFolder(t, { 'a.js': '' });
  await t.throwsAsync(findSources({ paths: [folder] }), { message: /nothing to read/ });
  for (const quest of [
    { paths: ['a.npy', 'b.npy'], ids: 'c.jsonl' },
    { paths: [], vectors: 'c.npy' },
    { paths: ['a.npy'], ids: 'b.jsonl', vectors: 'c.npy' },
  ]) {
    await t.throwsAsync(findSources(quest), { message: /exactly one file/ });
  }
});

test('a file is read in pieces: the first rows come before the last ones are looked at', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'many.jsonl');
  const line = `${JSON.stringify({ id: 'x', text: 'y'.repeat(1000) })}\n`;
  await writeFile(path, line.repeat(5000));
  const [source] = await findSources({ paths: [path] });
  const items = source?.read();
  t.is((await items?.next())?.value?.row?.id, 'x');
  await items?.return(undefined);
});
