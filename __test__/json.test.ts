import test from 'ava';
import fc from 'fast-check';
import { jsonFault } from '../src/json.js';

test('every JSON value passes', (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
      t.is(jsonFault(value), undefined);
    }),
  );
});

const circular: Record<string, unknown> = {};
circular.self = [circular];

const faults: [string, unknown, RegExp][] = [
  ['half of a surrogate pair', { a: ['x\ud800'] }, /surrogate/],
  ['half of a pair in a key', { '\udc00': 1 }, /key/],
  ['NaN', { a: Number.NaN }, /NaN/],
  ['Infinity', [Number.POSITIVE_INFINITY], /Infinity/],
  ['a big integer', { a: 1n }, /bigint/],
  ['a function', { a: () => 1 }, /function/],
  ['a symbol', Symbol('a'), /symbol/],
  ['undefined in a list', [undefined], /undefined/],
  ['a hole in a list', new Array(1), /undefined/],
  ['a Map', { a: new Map() }, /Map/],
  ['a Set', new Set(), /Set/],
  ['a typed array', { a: new Float32Array(2) }, /Float32Array/],
  ['a circle', circular, /circular/],
  [
    'a toJSON that throws',
    {
      toJSON() {
        throw new Error('no');
      },
    },
    /toJSON/,
  ],
];

for (const [title, value, reason] of faults) {
  test(`refuses ${title}`, (t) => {
    t.regex(jsonFault(value) ?? 'passed', reason);
  });
}

test('an absent property is left out, a date says itself what it is', (t) => {
  t.is(jsonFault({ a: undefined, b: new Date(0) }), undefined);
});
