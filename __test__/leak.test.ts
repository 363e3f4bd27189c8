import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { open } from '../src/index.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MIB = 1024 * 1024;

function used() {
  collectGarbage();
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  return { heap: heapUsed + external + arrayBuffers, rss };
}

test('many thousand batches of all kinds leave no memory behind', async (t) => {
  await using store = await open(':memory:', { batchOperations: { errorRetryAttempts: 0 } });
  const plain = await store.createCollection('plain', { dimension: 16 });
  const texts = await store.createCollection('texts', {
    embedder: {
      name: 'failing',
      version: '1',
      dimension: 16,
      embed: async (given) => {
        if (given.includes('bad')) throw new Error('no');
        return given.map(() => new Float32Array(16).fill(1));
      },
    },
  });
  const { signal } = new AbortController();
  const rows = (n: number) =>
    Array.from({ length: 8 }, (_, k) => ({
      id: `row ${(n + k) % 64}`,
      data: new Float32Array(16).fill(n + 1),
      metadata: { n },
    }));
  const round = async (n: number) => {
    await Promise.all([
      plain.upsert(rows(n), { signal, deadlineMs: 60_000 }),
      plain.insert(rows(n), { atomic: false, outcomes: 'all' }),
      plain.delete([`row ${n % 64}`, 'nobody'], { onError: 'collect' }),
      plain.search([{ queryVector: new Float32Array(16).fill(1) }], { signal }),
      plain.insert(rows(n), { validateOnly: true, onError: 'collect' }),
      texts.upsert([{ id: 'a', text: n % 2 === 0 ? 'bad' : 'good' }], { onError: 'collect' }),
    ]);
    if (n % 25 === 0) {
      await plain.insertStream(rows(n), { onConflict: 'replace', chunkSize: 3 }).summary;
      await plain.insertStream(rows(n), { atomic: true, onConflict: 'skip' }).cancel();
    }
  };
  for (let n = 0; n < 300; n++) await round(n);
  await plain.compact();
  const before = used();
  for (let n = 300; n < 1200; n++) await round(n);
  await plain.compact();
  const after = used();
  t.true(after.heap - before.heap < 2 * MIB, `${(after.heap - before.heap) / MIB} MiB of heap`);
  t.true(after.rss - before.rss < 24 * MIB, `${(after.rss - before.rss) / MIB} MiB resident`);
  t.is((await store.limits()).memoryUsedBytes?.value, 0);
});
