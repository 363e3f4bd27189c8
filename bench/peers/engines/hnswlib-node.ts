import type { Contender, Setting } from '../engine.js';
import { EF_CONSTRUCTION, M, peer, rowsOf } from '../engine.js';
import { versionOf } from './versions.js';

interface HnswlibNode {
  default: {
    HierarchicalNSW: new (
      space: 'ip',
      dimension: number,
    ) => {
      initIndex(options: { maxElements: number; m: number; efConstruction: number }): void;
      addPoint(vector: number[], label: number): void;
      setEf(efSearch: number): void;
      searchKnn(query: number[], k: number): { neighbors: number[] };
    };
  };
}

export const hnswlibNode: Contender = {
  name: 'hnswlib-node',
  durability: 'none',
  remark: 'one thread, one vector a call, lists of numbers; compiled as its package asks',
  approximate: true,
  searchThreads: () => [1],
  open: openHnswlibNode,
};

async function openHnswlibNode({ dimension, capacity }: Setting) {
  const { HierarchicalNSW } = (await peer<HnswlibNode>('hnswlib-node')).default;
  const index = new HierarchicalNSW('ip', dimension);
  index.initIndex({ maxElements: capacity, m: M, efConstruction: EF_CONSTRUCTION });
  let conversionMs = 0;
  const converted = (vectors: Float32Array) => {
    const began = performance.now();
    const lists = Array.from(rowsOf(vectors, dimension), (row) => Array.from(row));
    conversionMs += performance.now() - began;
    return lists;
  };
  return {
    version: versionOf('hnswlib-node'),
    insertsInFlight: 1,
    queriesPerCall: 500,
    searchesInFlight: () => 1,
    get conversionMs() {
      return conversionMs;
    },
    insert({ firstRow, vectors }: { firstRow: number; vectors: Float32Array }) {
      converted(vectors).forEach((vector, place) => {
        index.addPoint(vector, firstRow + place);
      });
    },
    indexed() {},
    tune: (efSearch: number) => index.setEf(efSearch),
    search: (queries: Float32Array, k: number) =>
      converted(queries).map((query) => index.searchKnn(query, k).neighbors),
    close() {},
  };
}
