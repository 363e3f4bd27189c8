// Asks for several concepts at once and merges what is found: one entry for each record, with the
// concept that it fits best.
//
// Prints:
// 3 queries, 3 succeeded
// orbit: paper-1
// enzyme: paper-2
// sonnet: paper-3
import { open } from 'volleydb';

const store = await open(':memory:');
const papers = await store.createCollection('papers', { embedder: 'lexical' });
await papers.insert([
  { id: 'paper-1', text: 'The orbit of a comet, measured again', metadata: { year: 2021 } },
  { id: 'paper-2', text: 'An enzyme that folds twice', metadata: { year: 2023 } },
  { id: 'paper-3', text: 'A lost sonnet is found', metadata: { year: 2022 } },
  { id: 'paper-4', text: 'An early orbit, as it was drawn', metadata: { year: 1921 } },
]);

const concepts = ['orbit', 'enzyme', 'sonnet'];
const result = await papers.search(
  concepts.map((concept) => ({ queryId: concept, queryText: concept })),
  // Applies to every query; a query that fails does so alone.
  { limit: 10, threshold: 0.1, filters: { year: { $gte: 2000 } } },
);
console.log(`${result.totalQueries} queries, ${result.successfulQueries} succeeded`);

const best = new Map();
for (const { queryId, results } of result.batchResults) {
  for (const match of results) {
    const known = best.get(match.id);
    if (known === undefined || known.score < match.score) {
      best.set(match.id, { ...match, concept: queryId });
    }
  }
}
const merged = [...best.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
for (const { concept, id } of merged) console.log(`${concept}: ${id}`);

await store.close();
