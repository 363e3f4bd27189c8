// Indexes a thousand documents in one batch: all of them or none.
//
// Prints:
// inserted 1000 documents as one batch
// then 1000 are searched, and the best is handbook-0042
import { open } from 'volleydb';

const TOPICS = ['turbines', 'rivers', 'harbours', 'orchards', 'glaciers', 'railways', 'beehives'];

const documents = Array.from({ length: 1000 }, (_, n) => {
  const topic = TOPICS[n % TOPICS.length];
  return {
    id: `handbook-${String(n).padStart(4, '0')}`,
    text: n === 42 ? 'How to calibrate the old lighthouse lamp' : `Chapter ${n} about ${topic}`,
    metadata: { topic, chapter: n },
  };
});

const store = await open(':memory:');
const handbook = await store.createCollection('handbook', { embedder: 'lexical' });

const { insertedCount } = await handbook.insert(documents);
console.log(`inserted ${insertedCount} documents as one batch`);

const { batchResults } = await handbook.search([{ queryText: 'lighthouse lamp', limit: 1 }]);
const count = await handbook.count();
console.log(`then ${count} are searched, and the best is ${batchResults[0].results[0].id}`);

await store.close();
