import type { Collection, Store } from '../../src/index.js';
import type { Surface } from './surface.js';

/** A store as a surface, in this process or behind a server. */
export function storeSurface(store: Store): Surface {
  const on = async <Result>(name: string, use: (collection: Collection) => Promise<Result>) =>
    use(await store.collection(name));
  const collect = { onError: 'collect' } as const;
  return {
    createCollection: async (name, options) => {
      await store.createCollection(name, options);
    },
    dropCollection: (name) => store.dropCollection(name),
    collections: async () => (await store.listCollections()).map(({ name }) => name),
    insert: (name, rows, options) => on(name, (c) => c.insert(rows, { ...options, ...collect })),
    update: (name, rows, options) => on(name, (c) => c.update(rows, { ...options, ...collect })),
    delete: (name, ids, options) => on(name, (c) => c.delete(ids, { ...options, ...collect })),
    write: (name, list, options) => on(name, (c) => c.write(list, { ...options, ...collect })),
    search: (name, queries, options) =>
      on(name, (c) => c.search(queries, { ...options, ...collect })),
    get: (name, ids, include) => on(name, (c) => c.get(ids, { include })),
    list: (name, options) =>
      on(name, async (c) => {
        const records = [];
        for await (const record of c.list(options)) records.push(record);
        return records;
      }),
    count: (name, filters) => on(name, (c) => c.count(filters)),
    close: () => store.close(),
  };
}
