export interface NpyOptions {
  readonly descr?: string;
  readonly shape?: string;
  readonly fortran?: boolean;
  readonly version?: 1 | 2 | 3;
}

/** The bytes of a `.npy` file as NumPy writes it: header padded to 64 bytes. */
export function npyFile(data: Uint8Array, rows: number, columns: number, options: NpyOptions = {}) {
  const { descr = '<f4', shape = `(${rows}, ${columns})`, fortran = false, version = 1 } = options;
  const order = fortran ? 'True' : 'False';
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const prefix = version === 1 ? 10 : 12;
  const length = Math.ceil((prefix + text.length + 1) / 64) * 64 - prefix;
  const head = Buffer.alloc(prefix);
  head.write('\x93NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(length, 8);
  else head.writeUInt32LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${text.padEnd(length - 1)}\n`), data]);
}

/** Numbers as little-endian float32 bytes. */
export function float32Bytes(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((number, i) => {
    bytes.writeFloatLE(number, i * 4);
  });
  return bytes;
}
