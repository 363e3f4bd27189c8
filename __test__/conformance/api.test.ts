import { open } from '../../src/index.js';
import { storeSurface } from './store-surface.js';
import { streams } from './streams.js';
import { conformance } from './suite.js';

/** The TypeScript API itself, on a store in memory. */
conformance(async () => storeSurface(await open(':memory:')));

streams(async (t) => {
  const store = await open(':memory:');
  t.teardown(() => store.close());
  return store;
});
