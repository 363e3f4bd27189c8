import { join } from 'node:path';
import {
  type Contender,
  EF_CONSTRUCTION,
  M,
  oneAndAll,
  peer,
  rowsOf,
  type Setting,
} from '../engine.js';
import { versionOf } from './versions.js';

interface Collection {
  insertSync(records: { id: string; vectors: { v: Float32Array } }[]): { ok: boolean }[];
  optimize(options: { concurrency: number }): Promise<void>;
  query(query: Record<string, unknown>): Promise<{ id: string }[]>;
  closeSync(): void;
  readonly stats: { docCount: number; indexCompleteness: Record<string, number> };
}

interface Zvec {
  default: {
    ZVecInitialize(options: Record<string, unknown>): void;
    ZVecCreateAndOpen(path: string, schema: unknown): Collection;
    ZVecCollectionSchema: new (schema: Record<string, unknown>) => unknown;
    ZVecDataType: { VECTOR_FP32: number };
    ZVecIndexType: { HNSW: number };
    ZVecMetricType: { COSINE: number };
    ZVecQuantizeType: { UNDEFINED: number; INT8: number };
    ZVecLogLevel: { ERROR: number };
  };
}

export function zvec(quantization: 'f32' | 'INT8'): Contender {
  return {
    name: `zvec ${quantization}`,
    durability: 'log, its default',
    remark: 'searchable through its graph after optimize(), which is part of the build time',
    approximate: true,
    searchThreads: oneAndAll,
    open: (setting) => openZvec(setting, quantization),
  };
}

async function openZvec(setting: Setting, quantization: 'f32' | 'INT8') {
  const zvecModule = (await peer<Zvec>('@zvec/zvec')).default;
  const { ZVecIndexType, ZVecQuantizeType } = zvecModule;
  const { dimension, threads, folder } = setting;
  zvecModule.ZVecInitialize({
    queryThreads: threads,
    optimizeThreads: threads,
    logLevel: zvecModule.ZVecLogLevel.ERROR,
  });
  const { UNDEFINED, INT8 } = ZVecQuantizeType;
  const schema = new zvecModule.ZVecCollectionSchema({
    name: 'records',
    vectors: {
      name: 'v',
      dataType: zvecModule.ZVecDataType.VECTOR_FP32,
      dimension,
      indexParams: {
        indexType: ZVecIndexType.HNSW,
        metricType: zvecModule.ZVecMetricType.COSINE,
        m: M,
        efConstruction: EF_CONSTRUCTION,
        quantizeType: quantization === 'INT8' ? INT8 : UNDEFINED,
      },
    },
  });
  const collection = zvecModule.ZVecCreateAndOpen(join(folder, 'zvec'), schema);
  let ef = 64;
  return {
    version: versionOf('@zvec/zvec'),
    insertsInFlight: 1,
    // It takes one query a call and runs it on Node's pool, which has as many threads as the
    // engines may use: with enough calls waiting the pool is never idle.
    queriesPerCall: 1,
    searchesInFlight: (searchThreads: number) => (searchThreads > 1 ? 32 * searchThreads : 1),
    insert({ ids, vectors }: { ids: readonly string[]; vectors: Float32Array }) {
      const rows = Array.from(rowsOf(vectors, dimension), (v, place) => ({
        id: ids[place] ?? '',
        vectors: { v },
      }));
      const refused = collection.insertSync(rows).filter(({ ok }) => !ok).length;
      if (refused > 0) throw new Error(`zvec refused ${refused} of ${rows.length} rows`);
    },
    async indexed() {
      await collection.optimize({ concurrency: threads });
      const share = collection.stats.indexCompleteness.v;
      if (share !== 1) throw new Error(`zvec says that ${share} of the rows are in its index`);
    },
    tune(efSearch: number) {
      ef = efSearch;
    },
    async search(vector: Float32Array, topk: number) {
      const found = await collection.query({
        fieldName: 'v',
        vector,
        topk,
        outputFields: [],
        params: { indexType: ZVecIndexType.HNSW, ef },
      });
      return [found.map(({ id }) => id)];
    },
    close: () => collection.closeSync(),
  };
}
