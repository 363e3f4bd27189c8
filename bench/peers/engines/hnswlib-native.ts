import { createRequire } from 'node:module';
import { type Contender, EF_CONSTRUCTION, M, oneAndAll, type Setting } from '../engine.js';
import { versionOf } from './versions.js';

interface Addon {
  ThreadedIndex: new (
    dimension: number,
    capacity: number,
    m: number,
    efConstruction: number,
  ) => {
    add(firstLabel: number, vectors: Float32Array, threads: number): void;
    setEf(efSearch: number): void;
    search(queries: Float32Array, k: number, threads: number): Int32Array;
  };
}

export const hnswlibNative: Contender = {
  name: 'hnswlib native',
  durability: 'none',
  remark: 'the headers of hnswlib-node behind typed arrays and threads, -O3 -march=native',
  approximate: true,
  searchThreads: oneAndAll,
  open: async (setting) => openHnswlibNative(setting),
};

function openHnswlibNative({ dimension, capacity, threads }: Setting) {
  const require = createRequire(import.meta.url);
  const { ThreadedIndex } = require('../addon/build/Release/hnswlib_threads.node') as Addon;
  const index = new ThreadedIndex(dimension, capacity, M, EF_CONSTRUCTION);
  let searchThreads = threads;
  return {
    version: `hnswlib of ${versionOf('hnswlib-node')}`,
    insertsInFlight: 1,
    queriesPerCall: 500,
    searchesInFlight: () => 1,
    insert: ({ firstRow, vectors }: { firstRow: number; vectors: Float32Array }) =>
      index.add(firstRow, vectors, threads),
    indexed() {},
    tune(efSearch: number, count: number) {
      index.setEf(efSearch);
      searchThreads = count;
    },
    search(queries: Float32Array, k: number) {
      const labels = index.search(queries, k, searchThreads);
      const count = queries.length / dimension;
      return Array.from({ length: count }, (_, query) =>
        labels.subarray(query * k, (query + 1) * k),
      );
    },
    close() {},
  };
}
