import test from 'ava';
import { parseReply, type Reply } from '../src/native/door.js';
import { NativeDoor } from '../src/native/native-door.js';

const VECTORS = [
  { id: 'plain', data: [1, 0, 0], text: 'a \u0000 text', metadata: { n: 1 } },
  { id: 'größe', data: [0.9, 0.1, 0] },
  { id: '\u{1f600}\u{1f600}', data: [0.1, 0.9, 0.3], metadata: {} },
  { id: '深い', data: [0.3, 0.3, 0.9], text: '' },
  { id: 'x'.repeat(512), data: [-1, 0.2, 0] },
];
const WHOLE = ['data', 'text', 'metadata'];

/** What does not depend on the form of the reply: no times, and vectors as plain lists. */
function told(reply: Reply): unknown {
  const shown = JSON.stringify(reply, (name, value) => {
    if (name.endsWith('time_ms')) return undefined;
    return value instanceof Float32Array ? Array.from(value, (n) => Number(n.toFixed(6))) : value;
  });
  return JSON.parse(shown);
}

for (const [title, search] of Object.entries({
  'ids and scores': { queries: [{ query_vector: [1, 0.2, 0] }, { query_vector: [0, 1, 1] }] },
  'all parts': { queries: [{ query_vector: [1, 0.2, 0] }], include: WHOLE },
  'parts that differ by query': {
    queries: WHOLE.map((part) => ({ query_vector: [0.2, 1, 0.7], include: [part], limit: 3 })),
  },
  'bad queries among good ones': {
    queries: [
      { query_vector: [1] },
      { query_vector: [1, 1, 1], include: ['data'] },
      { query_vector: [0, 0, 0] },
    ],
  },
  'no match': {
    queries: [
      { query_vector: [1, 0, 0], threshold: 0.99999 },
      { query_vector: [0, 0, -1], threshold: 0.9 },
    ],
    include: WHOLE,
  },
  'no query': { queries: [] },
  'an atomic search that fails': {
    queries: [{ query_vector: [1] }, { query_vector: [1, 0, 0] }],
    atomic: true,
  },
})) {
  test(`a packed reply tells what the JSON reply tells: ${title}`, async (t) => {
    const door = await NativeDoor.open(':memory:', '{}');
    t.teardown(() => door.close());
    await door.call('collections.create', { name: 'things', dimension: 3 });
    await door.call('insert', { collection: 'things', vectors: VECTORS });
    const header = { collection: 'things', ...search };
    const json = Buffer.from(JSON.stringify(header));
    const plain = parseReply(await door.send('search', 'json', json, {}));
    t.deepEqual(told(await door.call('search', header)), told(plain));
  });
}
