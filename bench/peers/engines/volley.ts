import { join } from 'node:path';
import type * as Volley from '../../../src/index.js';
import { type Contender, EF_CONSTRUCTION, M, oneAndAll, type Setting } from '../engine.js';

/** The built package, as its users run it. */
const BUILT = new URL('../../../dist/index.js', import.meta.url).href;

export function volley(durability: 'always' | 'never'): Contender {
  return {
    name: `volley ${durability}`,
    durability: durability === 'always' ? 'log, synced' : 'log, not synced',
    approximate: true,
    searchThreads: oneAndAll,
    open: (setting) => openVolley(setting, durability),
  };
}

async function openVolley(setting: Setting, durability: 'always' | 'never') {
  const { open, version } = (await import(BUILT)) as typeof Volley;
  const path = join(setting.folder, 'store');
  let threads = setting.threads;
  let store = await open(path, { durability, threads });
  let records = await store.createCollection('records', {
    dimension: setting.dimension,
    hnsw: { m: M, efConstruction: EF_CONSTRUCTION },
  });
  let efSearch = 64;
  return {
    version: `volleydb ${version()}`,
    insertsInFlight: 8,
    queriesPerCall: 500,
    searchesInFlight: (searchThreads: number) => searchThreads,
    async insert({ ids, vectors }: { ids: readonly string[]; vectors: Float32Array }) {
      await records.insert({ ids, data: vectors });
    },
    async indexed() {
      await records.indexed();
    },
    async tune(ef: number, searchThreads: number) {
      efSearch = ef;
      if (searchThreads === threads) return;
      await store.close();
      threads = searchThreads;
      store = await open(path, { durability, threads });
      records = await store.collection('records');
      await records.indexed();
    },
    async search(queryVectors: Float32Array, limit: number) {
      const { batchResults } = await records.search(
        { queryVectors },
        { limit, efSearch, include: [] },
      );
      return batchResults.map(({ results }) => results.map(({ id }) => id));
    },
    close: () => store.close(),
  };
}
