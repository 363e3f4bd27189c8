// Keeps training examples with their labels, and takes the ones of a label out again.
//
// Prints:
// kept 1000 examples
// 250 of class_3 go into the next training run
import { open } from 'volleydb';

const examples = Array.from({ length: 1000 }, (_, n) => ({
  id: `train_${n}`,
  data: Float32Array.of(Math.sin(n), Math.cos(n), n / 1000),
  metadata: { label: `class_${n % 4}`, source: 'labelling-round-1' },
}));

const store = await open(':memory:');
const training = await store.createCollection('training', { dimension: 3 });

// A second run of the same script changes nothing: ids that exist are skipped.
const { insertedCount } = await training.insert(examples, { onConflict: 'skip' });
console.log(`kept ${insertedCount} examples`);

let taken = 0;
for await (const { data, metadata } of training.list({
  filters: { label: 'class_3' },
  include: ['data', 'metadata'],
})) {
  if (data.length === 3 && metadata.label === 'class_3') taken += 1;
}
console.log(`${taken} of class_3 go into the next training run`);

await store.close();
