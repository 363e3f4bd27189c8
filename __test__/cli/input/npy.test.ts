import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { float16Value, NpyReader } from '../../../src/cli/input/npy.js';
import { float32Bytes, type NpyOptions, npyFile } from '../helpers/npy-file.js';
import { temporaryFolder } from '../helpers/temporary-folder.js';

async function readAll(t: ExecutionContext, content: Uint8Array): Promise<number[][]> {
  const path = join(await temporaryFolder(t), 'a.npy');
  await writeFile(path, content);
  const reader = await NpyReader.open(path);
  try {
    const rows: number[][] = [];
    for await (const row of reader.rows()) rows.push([...row]);
    return rows;
  } finally {
    await reader.close();
  }
}

for (const version of [1, 2, 3] as const) {
  test(`float32 of version ${version} is read row by row`, async (t) => {
    const content = npyFile(float32Bytes([1, -2, 0.5, 4, 5, 6]), 2, 3, { version });
    t.deepEqual(await readAll(t, content), [
      [1, -2, 0.5],
      [4, 5, 6],
    ]);
  });
}

test('a file of many blocks is read whole and in order', async (t) => {
  const columns = 1000;
  const numbers = Array.from({ length: 700 * columns }, (_, i) => i % 65521);
  const bytes = float32Bytes(numbers);
  const rows = await readAll(t, npyFile(bytes, 700, columns));
  t.is(rows.length, 700);
  t.true(float32Bytes(rows.flat()).equals(bytes));
});

test('float16 is read', async (t) => {
  const bytes = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x7bff).buffer);
  const rows = await readAll(t, npyFile(bytes, 1, 4, { descr: '<f2' }));
  t.deepEqual(rows, [[1, -2, Math.fround(1365 / 4096), 65504]]);
});

test('every finite float16 is a step above the one below it', (t) => {
  t.is(float16Value(0), 0);
  t.is(float16Value(1), 2 ** -24);
  t.is(float16Value(0x0400), 2 ** -14);
  t.is(float16Value(0x7c00), Number.POSITIVE_INFINITY);
  t.is(float16Value(0xfc00), Number.NEGATIVE_INFINITY);
  t.true(Number.isNaN(float16Value(0x7e00)));
  let increasing = true;
  for (let bits = 1; bits < 0x7c00; bits += 1) {
    const value = float16Value(bits);
    increasing &&= value > float16Value(bits - 1) && float16Value(bits | 0x8000) === -value;
  }
  t.true(increasing);
});

test('an empty array has no rows', async (t) => {
  t.deepEqual(await readAll(t, npyFile(Buffer.alloc(0), 0, 3)), []);
});

const REFUSED: readonly [name: string, content: Uint8Array, message: RegExp][] = [
  ['another file', Buffer.from('PK\x03\x04 and more bytes'), /not a \.npy file/],
  [
    'a file that ends in its header',
    npyFile(Buffer.alloc(0), 1, 1).subarray(0, 40),
    /ends at byte/,
  ],
  ['an empty file', Buffer.alloc(0), /ends at byte 0/],
  ['float64', refusedFile({ descr: '<f8' }), /<f8; <f4 and <f2/],
  ['big-endian numbers', refusedFile({ descr: '>f4' }), />f4; <f4 and <f2/],
  ['Fortran order', refusedFile({ fortran: true }), /Fortran order/],
  ['one dimension', refusedFile({ shape: '(4,)' }), /two dimensions/],
  ['three dimensions', refusedFile({ shape: '(1, 2, 2)' }), /two dimensions/],
  ['no columns', refusedFile({ shape: '(4, 0)' }), /two dimensions/],
  ['numbers missing', npyFile(Buffer.alloc(12), 2, 2), /has \d+ bytes, its header asks for \d+/],
  ['numbers too many', npyFile(Buffer.alloc(20), 2, 2), /has \d+ bytes, its header asks for \d+/],
  ['an unknown version', withByte(refusedFile({}), 6, 9), /version 9/],
  ['a huge header', withByte(refusedFile({ version: 2 }), 10, 0xff), /header is \d+ bytes/],
];

function refusedFile(options: NpyOptions): Uint8Array {
  return npyFile(Buffer.alloc(16), 2, 2, options);
}

function withByte(bytes: Uint8Array, place: number, value: number): Uint8Array {
  bytes[place] = value;
  return bytes;
}

for (const [name, content, message] of REFUSED) {
  test(`refused with its path and reason: ${name}`, async (t) => {
    const error = await t.throwsAsync(readAll(t, content), { message });
    t.regex(error?.message ?? '', /a\.npy: /);
  });
}
