import { access } from 'node:fs/promises';
import { type Collection, type OpenOptions, open, type Store } from '../index.js';
import type { Arguments } from './arguments.js';

/** The options that name a collection. */
export const COLLECTION_OPTIONS = {
  store: { value: 'folder', help: 'folder of the store' },
  collection: { value: 'name', help: 'name of the collection' },
};

/** Opens a store for some work and closes it after it, whatever happens. */
export async function withStore<Result>(
  path: string,
  options: OpenOptions,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  const store = await open(path, options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The same for a store that must be there: reading does not make one. */
export async function withExistingStore<Result>(
  path: string,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  try {
    await access(path);
  } catch {
    throw new Error(`there is no store at ${path}`);
  }
  return await withStore(path, {}, work);
}

/** Opens the collection that the options name, for reading. */
export async function withCollection<Result>(
  args: Arguments,
  work: (collection: Collection) => Promise<Result>,
): Promise<Result> {
  const path = args.required('store');
  const name = args.required('collection');
  return await withExistingStore(path, async (store) => await work(await store.collection(name)));
}
