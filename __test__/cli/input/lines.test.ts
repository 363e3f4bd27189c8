import test from 'ava';
import fc from 'fast-check';
import { countLines, type Line, splitLines } from '../../../src/cli/input/lines.js';

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.slice(start, start + size);
}

async function collect(text: string | Uint8Array, size = 7, bytesMax?: number): Promise<Line[]> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const lines: Line[] = [];
  for await (const line of splitLines(chunksOf(bytes, size), bytesMax)) lines.push(line);
  return lines;
}

test('lines are the same wherever the chunks are cut', async (t) => {
  const line = fc.string({ unit: 'grapheme', maxLength: 30 }).map((s) => s.replace(/[\r\n]/g, '_'));
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 40 }), async (texts, size) => {
      const file = texts.join('\n');
      const found = await collect(file, size);
      const expected = file
        .replace(/^\uFEFF/, '')
        .split('\n')
        .map((text, i) => ({ text, number: i + 1 }))
        .filter(({ text }) => text.trim() !== '');
      t.deepEqual(
        found.map(({ text, number }) => ({ text, number })),
        expected as { text: string; number: number }[],
      );
    }),
  );
});

test('line numbers count blank lines, and the last line needs no line break', async (t) => {
  const lines = await collect('a\r\n\r\n  \nb\nc');
  t.deepEqual(lines, [
    { number: 1, endByte: 3, text: 'a' },
    { number: 4, endByte: 10, text: 'b' },
    { number: 5, endByte: 11, text: 'c' },
  ]);
});

test('a byte order mark is no part of the first line', async (t) => {
  t.is((await collect('\uFEFFa\n'))[0]?.text, 'a');
});

test('a line over the limit is reported with its size, and the next one is read', async (t) => {
  const lines = await collect(`${'x'.repeat(100)}\nok\n${'y'.repeat(100)}`, 9, 20);
  t.deepEqual(lines, [
    { number: 1, endByte: 101, problem: 'line is 100 bytes, the limit is 20 bytes' },
    { number: 2, endByte: 104, text: 'ok' },
    { number: 3, endByte: 204, problem: 'line is 100 bytes, the limit is 20 bytes' },
  ]);
});

test('a line that is not UTF-8 is reported, and the next one is read', async (t) => {
  const lines = await collect(Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x0a]));
  t.deepEqual(lines, [
    { number: 1, endByte: 3, problem: 'line is not valid UTF-8' },
    { number: 2, endByte: 5, text: 'b' },
  ]);
});

test('counting counts the lines that are read', async (t) => {
  t.is(await countLines(chunksOf(Buffer.from('a\n\nb\n{"c": 1}'), 2)), 3);
  t.is(await countLines(chunksOf(Buffer.from(''), 2)), 0);
});
