import { Gathering } from './gathering.js';
import type { Pulled, Puller } from './puller.js';

/** A piece of a stream: rows or ids as they came, or columns. */
export interface Chunk {
  /** Place of its first operation in the stream. */
  readonly offset: number;
  /** Operations. */
  readonly count: number;
  /** What is sent: rows, ids, or columns. */
  readonly input: readonly unknown[] | ColumnsItem;
  /** Why it cannot be sent: the error that ends the stream behind it. */
  readonly refusal?: unknown;
  /** The operation at a place of the chunk, as a row. */
  item(index: number): unknown;
}

/** Columns as an item of a source. */
export interface ColumnsItem {
  readonly ids: readonly unknown[];
  readonly data?: unknown;
  readonly texts?: unknown;
  readonly metadata?: unknown;
}

/** Bytes that a row's parts beside its vector and text are taken for until one was sent. */
const ROW_BYTES_GUESS = 128;

/** How large chunks are. */
export interface ChunkSize {
  /** Operations of the first chunk; each further one may have twice as many. */
  readonly first: number;
  /** Operations of a chunk, at most; only a group alone may be more. */
  readonly most: number;
  /** Bytes of a chunk, at most, roughly. */
  readonly bytesMax: number;
}

/** Cuts the items of a source into chunks by count and by bytes, and never through a group. */
export class Chunker {
  readonly #puller: Puller;
  readonly #size: ChunkSize;
  readonly #rows = new Gathering<unknown>();
  #countMax: number;
  #offset: number;
  #columns: ColumnsItem | undefined;
  #rowBytes = ROW_BYTES_GUESS;
  #failure: { readonly error: unknown } | undefined;

  constructor(puller: Puller, size: ChunkSize) {
    this.#puller = puller;
    this.#size = size;
    this.#countMax = size.first;
    this.#offset = 0;
  }

  /** Operations of the next chunk, at most. */
  get nextCount(): number {
    return this.#countMax;
  }

  /** Notes what rows were measured at beside their vectors and texts. */
  learn(bytes: number, count: number): void {
    if (count > 0) this.#rowBytes = bytes / count;
  }

  /** Reads operations and forgets them; returns how many there were, at most `count`. */
  async skip(count: number): Promise<number> {
    while (this.#offset < count) {
      const left = count - this.#offset;
      if (this.#columns === undefined) {
        const pulled = await this.#pull();
        if (pulled.done) break;
        if (!isColumns(pulled.value)) {
          this.#offset += 1;
          continue;
        }
        this.#columns = pulled.value;
      }
      this.#offset += Math.min(left, this.#columns.ids.length);
      this.#columns = rest(this.#columns, left);
    }
    return this.#offset;
  }

  /** The next chunk; `undefined` at the end. */
  async next(): Promise<Chunk | undefined> {
    if (this.#failure !== undefined) return this.#refused(this.#failure.error);
    const limits = { count: this.#countMax, bytes: this.#size.bytesMax };
    while (this.#columns === undefined) {
      const full = this.#rows.take(limits);
      if (full !== undefined) return this.#ofRows(full.items);
      try {
        this.#rows.check(limits);
        const pulled = this.#puller.isAsync ? await this.#puller.pull() : this.#puller.pullNow();
        if (pulled.done) break;
        this.#add(pulled.value);
      } catch (error) {
        this.#failure = { error };
        // What was read before is an operation like any other, but for a group that is not whole.
        const { items } = this.#rows.takeWhole();
        return items.length > 0 ? this.#ofRows(items) : this.#refused(error);
      }
    }
    const { items } = this.#rows.takeAll();
    if (items.length > 0) return this.#ofRows(items);
    return this.#columns === undefined ? undefined : this.#cutColumns(this.#columns);
  }

  #add(item: unknown): void {
    if (!isColumns(item)) {
      this.#rows.add(item, this.#rowBytes + contentBytes(item), groupOf(item));
    } else if (item.ids.length > 0) {
      this.#columns = item;
    }
  }

  #ofRows(rows: readonly unknown[]): Chunk {
    return this.#chunk(rows.length, rows, (index) => rows[index]);
  }

  /** What was read and cannot be sent; without it, the error itself. */
  #refused(error: unknown): Chunk {
    const { items } = this.#rows.takeAll();
    if (items.length === 0) throw error;
    return { ...this.#ofRows(items), refusal: error };
  }

  #cutColumns(columns: ColumnsItem): Chunk {
    const { ids, data } = columns;
    const rowBytes =
      this.#rowBytes + (data instanceof Float32Array ? data.byteLength / ids.length : 0);
    const fits = Math.max(1, Math.floor(this.#size.bytesMax / rowBytes));
    const count = Math.min(ids.length, this.#countMax, fits);
    const piece = slice(columns, 0, count);
    this.#columns = rest(columns, count);
    return this.#chunk(count, piece, (index) => rowOf(piece, index));
  }

  #chunk(count: number, input: Chunk['input'], item: Chunk['item']): Chunk {
    const chunk = { offset: this.#offset, count, input, item };
    this.#offset += count;
    this.#countMax = Math.min(this.#countMax * 2, this.#size.most);
    return chunk;
  }

  async #pull(): Promise<Pulled> {
    return this.#puller.isAsync ? this.#puller.pull() : this.#puller.pullNow();
  }
}

function isColumns(item: unknown): item is ColumnsItem {
  return typeof item === 'object' && item !== null && Array.isArray((item as ColumnsItem).ids);
}

function rest(columns: ColumnsItem, from: number): ColumnsItem | undefined {
  return from < columns.ids.length ? slice(columns, from, columns.ids.length) : undefined;
}

/** Some rows of columns. What is no column of its length is left for the encoder to refuse. */
function slice(columns: ColumnsItem, from: number, to: number): ColumnsItem {
  const { ids, data, texts, metadata } = columns;
  if (from === 0 && to === ids.length) return columns;
  const part = (column: unknown) => (Array.isArray(column) ? column.slice(from, to) : column);
  const isBlock = data instanceof Float32Array && data.length % ids.length === 0;
  const width = isBlock ? data.length / ids.length : 0;
  return {
    ...columns,
    ids: ids.slice(from, to),
    ...(data !== undefined && { data: isBlock ? data.subarray(from * width, to * width) : data }),
    ...(texts !== undefined && { texts: part(texts) }),
    ...(metadata !== undefined && { metadata: part(metadata) }),
  };
}

/** One row of columns as a row of its own. */
export function rowOf(columns: ColumnsItem, index: number): Record<string, unknown> {
  const row: Record<string, unknown> = { ...slice(columns, index, index + 1) };
  const [id] = columns.ids.slice(index, index + 1);
  const single = { id } as Record<string, unknown>;
  if (row.data !== undefined) single.data = row.data;
  if (Array.isArray(row.texts) && row.texts[0] != null) single.text = row.texts[0];
  if (Array.isArray(row.metadata) && row.metadata[0] != null) single.metadata = row.metadata[0];
  return single;
}

function groupOf(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null) return undefined;
  const { group } = row as { group?: unknown };
  return typeof group === 'string' ? group : undefined;
}

function contentBytes(row: unknown): number {
  if (typeof row !== 'object' || row === null) return 0;
  const { data, text } = row as { data?: { length?: unknown } | null; text?: unknown };
  const numbers = typeof data?.length === 'number' ? data.length : 0;
  return numbers * Float32Array.BYTES_PER_ELEMENT + (typeof text === 'string' ? text.length : 0);
}
