// Writes what an analysis found into the metadata of five hundred records; their vectors stay as
// they are. One unknown id, and nothing at all is changed.
//
// Prints:
// updated 500
// record 7: { confidence: 0.75, label: 'odd', source: 'sensor' }
// NOT_FOUND: none of 2 was applied
import { BatchError, open } from 'volleydb';

const store = await open(':memory:');
const readings = await store.createCollection('readings', { dimension: 4 });
const ids = Array.from({ length: 500 }, (_, n) => `reading-${n}`);
await readings.insert(
  ids.map((id, n) => ({ id, data: [n + 1, 1, 2, 3], metadata: { source: 'sensor' } })),
);

// A merge patch: what it does not name stays, `null` removes.
const analysis = ids.map((id, n) => ({
  id,
  metadata: { label: n % 2 === 0 ? 'even' : 'odd', confidence: 0.75 },
}));
const { updatedCount } = await readings.update(analysis);
console.log(`updated ${updatedCount}`);

const [record] = await readings.get(['reading-7']);
console.log('record 7:', record.metadata);

try {
  await readings.update([
    { id: 'reading-7', metadata: { confidence: 1 } },
    { id: 'unknown', metadata: { confidence: 1 } },
  ]);
} catch (error) {
  if (!(error instanceof BatchError)) throw error;
  console.log(`${error.code}: none of ${error.result.failedCount} was applied`);
}

await store.close();
