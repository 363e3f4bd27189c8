import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Contender, EF_CONSTRUCTION, M, oneAndAll, peer, type Setting } from '../engine.js';
import { versionOf } from './versions.js';

interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(queries: Float32Array, k: number, threads: number): { keys: BigUint64Array };
  save(path: string): void;
  load(path: string): void;
}

interface Usearch {
  Index: new (options: Record<string, unknown>) => UsearchIndex;
}

export function usearch(quantization: 'f32' | 'bf16' | 'i8'): Contender {
  return {
    name: `usearch ${quantization}`,
    durability: 'none',
    approximate: true,
    searchThreads: oneAndAll,
    open: (setting) => openUsearch(setting, quantization),
  };
}

async function openUsearch(setting: Setting, quantization: string) {
  const { Index } = await peer<Usearch>('usearch');
  const { dimension } = setting;
  const make = (efSearch: number) =>
    new Index({
      metric: 'cos',
      dimensions: dimension,
      quantization,
      connectivity: M,
      expansion_add: EF_CONSTRUCTION,
      expansion_search: efSearch,
      multi: false,
    });
  const path = join(setting.folder, 'index.usearch');
  let index = make(64);
  let saved = false;
  let tunedTo = 64;
  let threads = setting.threads;
  return {
    version: versionOf('usearch'),
    insertsInFlight: 1,
    queriesPerCall: 500,
    searchesInFlight: () => 1,
    insert({
      firstRow,
      count,
      vectors,
    }: {
      firstRow: number;
      count: number;
      vectors: Float32Array;
    }) {
      const keys = BigUint64Array.from({ length: count }, (_, place) => BigInt(firstRow + place));
      index.add(keys, vectors, setting.threads);
    },
    indexed() {},
    async tune(efSearch: number, searchThreads: number) {
      threads = searchThreads;
      if (efSearch === tunedTo) return;
      // The width of the beam is fixed when an index is made: the same index is loaded into one
      // of another width.
      if (!saved) index.save(path);
      saved = true;
      index = make(efSearch);
      // The one before has gigabytes that the collector knows nothing of.
      globalThis.gc?.();
      await setImmediate();
      index.load(path);
      tunedTo = efSearch;
    },
    search(queries: Float32Array, k: number) {
      const { keys } = index.search(queries, k, threads);
      const count = queries.length / dimension;
      return Array.from({ length: count }, (_, query) => keys.subarray(query * k, (query + 1) * k));
    },
    close() {},
  };
}
