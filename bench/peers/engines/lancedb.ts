import { join } from 'node:path';
import { K } from '../../data.js';
import type { Contender, Setting } from '../engine.js';
import { EF_CONSTRUCTION, M, peer, rowsOf } from '../engine.js';
import { versionOf } from './versions.js';

interface VectorQuery {
  addQueryVector(vector: Float32Array): VectorQuery;
  distanceType(type: 'l2'): VectorQuery;
  nprobes(count: number): VectorQuery;
  ef(efSearch: number): VectorQuery;
  refineFactor(factor: number): VectorQuery;
  limit(count: number): VectorQuery;
  select(columns: string[]): VectorQuery;
  toArrow(): Promise<{
    getChild(column: string): { toArray(): ArrayLike<number> } | null;
  }>;
}

interface Table {
  add(data: unknown): Promise<unknown>;
  createIndex(column: string, options: { config: unknown }): Promise<void>;
  listIndices(): Promise<{ name: string }[]>;
  indexStats(name: string): Promise<{ numUnindexedRows: number } | undefined>;
  query(): { nearestTo(vector: Float32Array): VectorQuery };
  close(): void;
}

interface Lancedb {
  connect(path: string): Promise<{
    createEmptyTable(name: string, schema: unknown): Promise<Table>;
    close(): void;
  }>;
  Index: { hnswSq(options: Record<string, unknown>): unknown };
}

interface Arrow {
  Field: new (name: string, type: unknown, nullable: boolean) => unknown;
  FixedSizeList: new (size: number, child: unknown) => unknown;
  Float32: new () => unknown;
  Int32: new () => unknown;
  Schema: new (fields: unknown[]) => unknown;
  Struct: new (fields: unknown[]) => unknown;
  Table: new (schema: unknown, batches: unknown[]) => unknown;
  RecordBatch: new (schema: unknown, data: unknown) => unknown;
  makeData(options: Record<string, unknown>): unknown;
}

/** Candidates scored by the original vectors, by the matches asked for. */
const REFINE_FACTOR = 2;

export const lancedb: Contender = {
  name: 'lancedb',
  durability: 'files, its default',
  remark: 'HNSW over 8-bit codes in one partition, refined; its thread pool takes all processors',
  approximate: true,
  leastEfSearch: K * REFINE_FACTOR,
  searchThreads: (threads) => [threads],
  open: openLancedb,
};

/** Batches as Arrow tables over the given numbers, without a copy. */
function tableMaker(arrow: Arrow, dimension: number) {
  const item = new arrow.Field('item', new arrow.Float32(), true);
  const list = new arrow.FixedSizeList(dimension, item);
  const id = new arrow.Int32();
  const fields = [new arrow.Field('id', id, false), new arrow.Field('vector', list, false)];
  const schema = new arrow.Schema(fields);
  const table = (firstRow: number, vectors: Float32Array) => {
    const length = vectors.length / dimension;
    const numbers = Int32Array.from({ length }, (_, place) => firstRow + place);
    const values = arrow.makeData({
      type: new arrow.Float32(),
      length: vectors.length,
      data: vectors,
    });
    const children = [
      arrow.makeData({ type: id, length, data: numbers }),
      arrow.makeData({ type: list, length, nullCount: 0, child: values }),
    ];
    const data = arrow.makeData({ type: new arrow.Struct(fields), length, nullCount: 0, children });
    return new arrow.Table(schema, [new arrow.RecordBatch(schema, data)]);
  };
  return { schema, table };
}

async function openLancedb({ dimension, folder }: Setting) {
  const { connect, Index } = await peer<Lancedb>('@lancedb/lancedb');
  const { schema, table: toTable } = tableMaker(await peer<Arrow>('apache-arrow'), dimension);
  const connection = await connect(join(folder, 'lance'));
  const table = await connection.createEmptyTable('records', schema);
  let ef = 64;
  return {
    version: versionOf('@lancedb/lancedb'),
    insertsInFlight: 1,
    queriesPerCall: 100,
    searchesInFlight: () => 1,
    async insert({ firstRow, vectors }: { firstRow: number; vectors: Float32Array }) {
      await table.add(toTable(firstRow, vectors));
    },
    async indexed() {
      // Unit vectors: the order by Euclidean distance is the order by cosine.
      const options = { distanceType: 'l2', numPartitions: 1, m: M };
      await table.createIndex('vector', {
        config: Index.hnswSq({ ...options, efConstruction: EF_CONSTRUCTION }),
      });
      const [index] = await table.listIndices();
      const left = index && (await table.indexStats(index.name))?.numUnindexedRows;
      if (left !== 0) throw new Error(`lancedb says that ${left} rows are not in its index`);
    },
    tune(efSearch: number) {
      ef = efSearch;
    },
    async search(queries: Float32Array, k: number) {
      const [first, ...others] = rowsOf(queries, dimension);
      if (first === undefined) return [];
      let query = table.query().nearestTo(first);
      for (const other of others) query = query.addQueryVector(other);
      query = query.distanceType('l2').nprobes(1).ef(ef).refineFactor(REFINE_FACTOR).limit(k);
      const found = await query.select(['id', '_distance']).toArrow();
      const ids = found.getChild('id')?.toArray() ?? [];
      const places = others.length === 0 ? undefined : found.getChild('query_index')?.toArray();
      const answers: number[][] = Array.from({ length: others.length + 1 }, () => []);
      for (let row = 0; row < ids.length; row++) {
        answers[Number(places?.[row] ?? 0)]?.push(Number(ids[row]));
      }
      return answers;
    },
    close() {
      table.close();
      connection.close();
    },
  };
}
