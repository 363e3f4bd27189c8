// The same program against a store in this process and one behind a server: one line differs.
//
// Prints:
// in this process: dune
// behind a server: dune
import { open } from 'volleydb';
import { connect } from 'volleydb/client';
import { serve } from 'volleydb/server';

async function program(store) {
  const books = await store.createCollection('books', { embedder: 'lexical' });
  await books.insert([
    { id: 'dune', text: 'Giant worms guard the spice of a desert planet' },
    { id: 'emma', text: 'A matchmaker in an English village' },
  ]);
  const { batchResults } = await books.search([{ queryText: 'worms' }], { limit: 1 });
  return batchResults[0].results[0].id;
}

const embedded = await open(':memory:');
console.log('in this process:', await program(embedded));
await embedded.close();

const behind = await open(':memory:');
const server = await serve(behind, { rest: 0 });
console.log('behind a server:', await program(await connect(server.rest)));
await server.close();
await behind.close();
