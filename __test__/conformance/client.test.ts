import { connect } from '../../src/client/index.js';
import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { LARGE_BATCHES } from './scenario.js';
import { storeSurface } from './store-surface.js';
import { conformance } from './suite.js';

/** The client, on a store behind REST. */
conformance(async () => {
  const store = await open(':memory:', LARGE_BATCHES);
  const server = await serve(store, { rest: 0 });
  const client = await connect(server.rest ?? '');
  return {
    ...storeSurface(client),
    close: async () => {
      await client.close();
      await server.close();
      await store.close();
    },
  };
});
