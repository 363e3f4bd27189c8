import { symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { portableName, TEXT_FILE_BYTES_MAX, walkFiles } from '../../../src/cli/input/walk.js';
import { temporaryFolder } from '../helpers/temporary-folder.js';

async function walk(folder: string, paths: readonly string[] = [folder]) {
  const notices: string[] = [];
  const names: string[] = [];
  const options = {
    accepts: (name: string) => name.endsWith('.md'),
    onNotice: (notice: string) => notices.push(notice),
  };
  for await (const { path } of walkFiles(paths, options)) names.push(path.slice(folder.length + 1));
  return { names, notices };
}

test('folders are walked in the order of names; unwanted files and folders are left out', async (t) => {
  const folder = await temporaryFolder(t, {
    'b.md': 'b',
    'a/z.md': 'z',
    'a/c.md': 'c',
    'a/c.js': 'c',
    '.git/x.md': 'x',
    'a/node_modules/y.md': 'y',
  });
  const { names, notices } = await walk(folder);
  t.deepEqual(names, ['a/c.md', 'a/z.md', 'b.md']);
  t.deepEqual(notices, []);
});

test('a folder that is left out from above can be named', async (t) => {
  const folder = await temporaryFolder(t, { 'node_modules/y.md': 'y' });
  t.deepEqual((await walk(folder, [join(folder, 'node_modules')])).names, ['node_modules/y.md']);
});

test('links are followed once: loops end, and no file comes twice', async (t) => {
  const folder = await temporaryFolder(t, { 'a/b.md': 'b' });
  await symlink(folder, join(folder, 'a', 'loop'));
  await symlink(join(folder, 'a', 'b.md'), join(folder, 'a', 'c.md'));
  await symlink(join(folder, 'nowhere'), join(folder, 'broken.md'));
  t.deepEqual((await walk(folder, [folder, join(folder, 'a')])).names, ['a/b.md']);
});

test('binary and huge text files are left out with a notice', async (t) => {
  const folder = await temporaryFolder(t, { 'binary.md': Uint8Array.of(65, 0, 66), 'ok.md': 'ok' });
  const huge = join(folder, 'huge.md');
  await writeFile(huge, 'x');
  await truncate(huge, TEXT_FILE_BYTES_MAX + 1);
  const { names, notices } = await walk(folder);
  t.deepEqual(names, ['ok.md']);
  t.is(notices.length, 2);
  t.regex(notices[0] ?? '', /binary\.md: left out, it is not text/);
  t.regex(
    notices[1] ?? '',
    /huge\.md: left out, it is 67108865 bytes of text, the limit is 67108864/,
  );
});

test('a file that is named comes whatever its name; a path that is not there is an error', async (t) => {
  const folder = await temporaryFolder(t, { 'a.log': 'a' });
  t.deepEqual((await walk(folder, [join(folder, 'a.log')])).names, ['a.log']);
  await t.throwsAsync(walk(folder, [join(folder, 'missing')]), { code: 'ENOENT' });
});

test('names have no leading dot', (t) => {
  t.is(portableName('./docs/a.md'), 'docs/a.md');
  t.is(portableName('docs/a.md'), 'docs/a.md');
});
