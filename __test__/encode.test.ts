import test from 'ava';
import {
  encodeIds,
  encodeOperations,
  encodeQueries,
  encodeUpdates,
  encodeVectors,
} from '../src/encode.js';
import { VolleyError } from '../src/errors.js';

test('rows become a header without numbers, and one block', (t) => {
  const rows = [
    { id: 'a', data: [1, 2], metadata: { kindOf: 'x', n: null } },
    { id: 'b', data: new Float32Array([3, 4]), text: 'b', group: 'g' },
  ];
  const { header, block, refused } = encodeVectors('insert', rows);
  t.deepEqual(header, {
    vectors: [
      { id: 'a', metadata: { kindOf: 'x', n: null } },
      { id: 'b', text: 'b', group: 'g' },
    ],
  });
  t.deepEqual(block, new Float32Array([1, 2, 3, 4]));
  t.is(refused.size, 0);
});

test('lengths come along where rows differ', (t) => {
  const { header } = encodeUpdates([
    { id: 'a', data: [1, 2] },
    { id: 'b', text: 't' },
  ]);
  t.deepEqual(header.lengths, [2, -1]);
});

test('operations keep their own options under wire names', (t) => {
  const { header } = encodeOperations([
    { op: 'insert', id: 'a', data: [1], onConflict: 'replace', ifVersion: 3 },
    { op: 'delete', id: 'b', missing: 'ignore' },
  ]);
  t.deepEqual(header.operations, [
    { op: 'insert', id: 'a', on_conflict: 'replace', if_version: 3 },
    { op: 'delete', id: 'b', missing: 'ignore' },
  ]);
});

const badRows: [string, unknown, string][] = [
  ['null', null, 'INVALID_ARGUMENT'],
  ['undefined', undefined, 'INVALID_ARGUMENT'],
  ['text', 'a', 'INVALID_ARGUMENT'],
  ['an unknown field', { id: 'a', vector: [1] }, 'INVALID_ARGUMENT'],
  ['half a surrogate pair as id', { id: '\ud800', data: [1] }, 'INVALID_ID'],
  ['half a surrogate pair as text', { id: 'a', text: 'x\udfff' }, 'INVALID_ARGUMENT'],
  ['a big integer as metadata', { id: 'a', data: [1], metadata: { n: 1n } }, 'INVALID_METADATA'],
  ['text as data', { id: 'a', data: 'abc' }, 'INVALID_VECTOR'],
];

for (const [title, row, code] of badRows) {
  test(`a row that is or has ${title} is refused alone`, (t) => {
    const rows = [{ id: 'first', data: [5] }, row, { id: 'last', data: [6] }];
    const { header, block, refused } = encodeVectors('insert', rows);
    const sent = header.vectors as { id: unknown }[];
    t.deepEqual([sent[0]?.id, sent[1]?.id, sent[2]?.id], ['first', null, 'last']);
    t.deepEqual(block, new Float32Array([5, 6]));
    t.deepEqual(header.lengths, [1, -1, 1]);
    t.deepEqual([...refused.keys()], [1]);
    t.is(refused.get(1)?.failure.errorCode as string, code);
  });
}

test('a refused row keeps its operation and group', (t) => {
  const { header } = encodeOperations([{ op: 'update', id: 'a', text: '\ud800', group: 'g' }]);
  t.deepEqual(header.operations, [{ op: 'update', id: null, group: 'g' }]);
});

test('columns go as they are', (t) => {
  const data = new Float32Array([1, 2, 3, 4]);
  const { header, block } = encodeVectors('insert', {
    ids: ['a', 'b'],
    data,
    texts: ['t', undefined],
    metadata: [null, { n: 1 }],
  });
  t.deepEqual(header, { ids: ['a', 'b'], texts: ['t', null], metadata: [null, { n: 1 }] });
  t.is(block, data);
});

test('a bad value in a column refuses its row', (t) => {
  const { header, refused } = encodeVectors('insert', {
    ids: ['a', '\ud800', 'c', 'd'],
    texts: ['t', 't', '\ud800', 't'],
    metadata: [{}, {}, {}, { n: Number.NaN }],
  });
  t.deepEqual(header.ids, ['a', null, null, null]);
  t.deepEqual(
    [...refused].map(([index, { id, failure }]) => [index, id, failure.errorCode]).sort(),
    [
      [1, null, 'INVALID_ID'],
      [2, 'c', 'INVALID_ARGUMENT'],
      [3, 'd', 'INVALID_METADATA'],
    ],
  );
});

const badInputs: [string, () => unknown][] = [
  ['no array', () => encodeVectors('insert', 'rows')],
  ['nothing', () => encodeVectors('insert', undefined)],
  ['columns without ids', () => encodeVectors('insert', { data: new Float32Array(2) })],
  ['an unknown column', () => encodeVectors('insert', { ids: [], vectors: [] })],
  ['a column of numbers that is a list', () => encodeVectors('insert', { ids: [], data: [1] })],
  [
    'a shared column of numbers',
    () => encodeVectors('insert', { ids: [], data: new Float32Array(new SharedArrayBuffer(8)) }),
  ],
  ['ids that are no array', () => encodeIds('delete', 'a')],
  ['queries that are no array', () => encodeQueries(undefined, 2)],
];

for (const [title, encode] of badInputs) {
  test(`refuses the call for ${title}`, (t) => {
    const error = t.throws(encode, { instanceOf: VolleyError });
    t.is(error?.code, 'INVALID_ARGUMENT');
  });
}

test('ids that are no strings are refused one by one', (t) => {
  const { header, refused } = encodeIds('delete', ['a', 7, '\udc00']);
  t.deepEqual(header.vector_ids, ['a', null, null]);
  t.deepEqual([...refused.keys()], [1, 2]);
});

test('queries get wire names, their vectors go into the block', (t) => {
  const { header, block } = encodeQueries(
    [
      { queryVector: [1, 2], queryId: 'q', efSearch: 9, filters: { aB: 1 } },
      { queryText: 'words', limit: 3 },
    ],
    2,
  );
  t.deepEqual(header, {
    queries: [
      { query_id: 'q', ef_search: 9, filters: { aB: 1 } },
      { query_text: 'words', limit: 3 },
    ],
    lengths: [2, -1],
  });
  t.deepEqual(block, new Float32Array([1, 2]));
});

test('a block of queries is counted by the dimension', (t) => {
  const queryVectors = new Float32Array([1, 2, 3, 4, 5, 6]);
  const { header, block } = encodeQueries({ queryVectors }, 3);
  t.deepEqual(header, { queries: [{}, {}] });
  t.is(block, queryVectors);
  const error = t.throws(() => encodeQueries({ queryVectors }, 4), { instanceOf: VolleyError });
  t.is(error?.code, 'DIMENSION_MISMATCH');
});

test('a refused query keeps its name', (t) => {
  const { header, refused } = encodeQueries(
    [{ queryVector: 'x', queryId: 'q' }, { queryText: '\ud800' }, 5],
    2,
  );
  t.deepEqual(header.queries, [{ query_id: 'q' }, {}, {}]);
  t.deepEqual([...refused.keys()], [0, 1, 2]);
});
