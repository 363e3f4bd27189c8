import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';

/** What the header of a NumPy file says about its two-dimensional array. */
export interface NpyHeader {
  /** Size of one number, in bytes: 4 for float32, 2 for float16. */
  readonly itemBytes: 2 | 4;
  readonly rows: number;
  readonly columns: number;
  /** Where the first number stands. */
  readonly dataStart: number;
}

/** Longest header that is read, in bytes; NumPy itself pads to some hundred. */
const HEADER_BYTES_MAX = 64 * 1024;
/** Magic, version and the longer form of the header's length. */
const PREFIX_BYTES = 12;
/** Numbers are read in blocks of about this size, in bytes. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * Reads rows of a `.npy` file of float32 or float16 numbers, in bounded memory.
 *
 * Format: NumPy Enhancement Proposal 1, versions 1 to 3, little-endian, C order, two dimensions.
 */
export class NpyReader {
  readonly header: NpyHeader;
  readonly #file: FileHandle;
  readonly #path: string;

  private constructor(path: string, file: FileHandle, header: NpyHeader) {
    this.#path = path;
    this.#file = file;
    this.header = header;
  }

  /** Opens the file and checks its header and its length. */
  static async open(path: string): Promise<NpyReader> {
    const file = await open(path, 'r');
    try {
      const prefix = await readExactly(file, 0, PREFIX_BYTES);
      const { start, length } = headerLocation(prefix);
      const header = parseHeader(
        (await readExactly(file, start, length)).toString(),
        start + length,
      );
      const expected = header.dataStart + header.rows * header.columns * header.itemBytes;
      const { size } = await file.stat();
      if (size !== expected) {
        throw new Error(`the file has ${size} bytes, its header asks for ${expected} bytes`);
      }
      return new NpyReader(path, file, header);
    } catch (error) {
      await file.close();
      throw new Error(`${path}: ${(error as Error).message}`);
    }
  }

  /** Every row in order; each is an array of its own. */
  async *rows(): AsyncGenerator<Float32Array> {
    const { rows, columns, itemBytes, dataStart } = this.header;
    const rowBytes = columns * itemBytes;
    const blockRows = Math.max(1, Math.floor(BLOCK_BYTES / rowBytes));
    for (let row = 0; row < rows; row += blockRows) {
      const count = Math.min(blockRows, rows - row);
      const bytes = await readExactly(
        this.#file,
        dataStart + row * rowBytes,
        count * rowBytes,
      ).catch((error: Error) => {
        throw new Error(`${this.#path}: ${error.message}`);
      });
      const numbers = itemBytes === 4 ? decodeFloat32(bytes) : decodeFloat16(bytes);
      for (let i = 0; i < count; i += 1) yield numbers.slice(i * columns, (i + 1) * columns);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) throw new Error(`the file ends at byte ${position + filled}`);
    filled += bytesRead;
  }
  return buffer;
}

function headerLocation(prefix: Buffer): { start: number; length: number } {
  if (prefix.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error('not a .npy file');
  const version = prefix[6] ?? 0;
  if (version < 1 || version > 3) throw new Error(`.npy version ${version} is not known`);
  const long = version > 1;
  const length = long ? prefix.readUInt32LE(8) : prefix.readUInt16LE(8);
  if (length > HEADER_BYTES_MAX) {
    throw new Error(`the header is ${length} bytes, the limit is ${HEADER_BYTES_MAX} bytes`);
  }
  return { start: long ? PREFIX_BYTES : PREFIX_BYTES - 2, length };
}

function parseHeader(text: string, dataStart: number): NpyHeader {
  const type = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  if (type !== '<f4' && type !== '<f2') {
    throw new Error(`the numbers are ${type ?? 'of no simple type'}; <f4 and <f2 can be read`);
  }
  if (/'fortran_order'\s*:\s*(\w+)/.exec(text)?.[1] !== 'False') {
    throw new Error('the array is in Fortran order; C order can be read');
  }
  const shape = /'shape'\s*:\s*\(([^)]*)\)/.exec(text)?.[1] ?? '';
  const [rows, columns, ...others] = shape
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number);
  if (!isCount(rows) || !isCount(columns) || columns === 0 || others.length > 0) {
    throw new Error(`the shape is (${shape}); two dimensions, rows and columns, are needed`);
  }
  return { itemBytes: type === '<f4' ? 4 : 2, rows, columns, dataStart };
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const HOST_IS_BIG_ENDIAN = endianness() === 'BE';

function decodeFloat32(bytes: Buffer): Float32Array {
  if (HOST_IS_BIG_ENDIAN) bytes.swap32();
  const numbers = new Float32Array(bytes.length / 4);
  Buffer.from(numbers.buffer).set(bytes);
  return numbers;
}

let float16Values: Float32Array | undefined;

function decodeFloat16(bytes: Buffer): Float32Array {
  float16Values ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits));
  if (HOST_IS_BIG_ENDIAN) bytes.swap16();
  const numbers = new Float32Array(bytes.length / 2);
  const halves = new Uint16Array(numbers.length);
  Buffer.from(halves.buffer).set(bytes);
  for (let i = 0; i < numbers.length; i += 1) {
    numbers[i] = float16Values[halves[i] as number] as number;
  }
  return numbers;
}

/** The number that 16 bits of IEEE 754 binary16 stand for. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
