import test from 'ava';
import fc from 'fast-check';
import { BlockBuilder, blockFault } from '../src/block.js';

const number = fc.float({ noNaN: true, noDefaultInfinity: true });
const vector = fc.oneof(
  fc.array(number, { maxLength: 6 }),
  fc.array(number, { maxLength: 6 }).map((values) => Float32Array.from(values)),
  fc.constant(undefined),
  fc.constantFrom<unknown>('text', {}, [1, '2'], [null], new Float64Array(2)),
);

/** The engine's rule: with lengths as they say, without them cut evenly. */
function cut(block: Float32Array | undefined, lengths: number[] | undefined, count: number) {
  let offset = 0;
  return Array.from({ length: count }, (_, index) => {
    const length = lengths?.[index] ?? (block === undefined ? -1 : block.length / count);
    if (length === -1) return undefined;
    offset += length;
    return [...(block ?? []).slice(offset - length, offset)];
  });
}

test('what is gathered is cut into the same vectors again', (t) => {
  fc.assert(
    fc.property(fc.array(vector, { maxLength: 12 }), fc.nat(20), (vectors, capacity) => {
      const builder = new BlockBuilder(capacity);
      const faults = vectors.map((given) => builder.add(given));
      const { block, lengths } = builder.finish();
      const expected = vectors.map((given, index) =>
        given === undefined || faults[index] !== undefined
          ? undefined
          : [...Float32Array.from(given as number[])],
      );
      t.deepEqual(cut(block, lengths, vectors.length), expected);
    }),
  );
});

test('lengths are left out exactly where the block can be cut evenly', (t) => {
  const finish = (...vectors: unknown[]) => {
    const builder = new BlockBuilder(0);
    for (const given of vectors) builder.add(given);
    return builder.finish().lengths;
  };
  t.is(finish([1, 2], new Float32Array(2)), undefined);
  t.is(finish(undefined, undefined), undefined);
  t.is(finish(), undefined);
  t.deepEqual(finish([1, 2], undefined), [2, -1]);
  t.deepEqual(finish([1, 2], [1]), [2, 1]);
  t.deepEqual(finish([], []), [0, 0]);
});

const refusals: [string, unknown, RegExp][] = [
  ['a string', 'abc', /is a string/],
  ['null', null, /is null/],
  ['another typed array', new Float64Array(2), /is a Float64Array/],
  ['text in an array', [1, '2'], /has a string at 1/],
  ['null in an array', [null], /has null at 0/],
  // biome-ignore lint/suspicious/noSparseArray: that is what is refused.
  ['a hole', [1, , 3], /has undefined at 1/],
  ['an array that is all hole', new Array(5), /has undefined at 0/],
  ['shared memory', new Float32Array(new SharedArrayBuffer(8)), /SharedArrayBuffer/],
];

for (const [title, given, reason] of refusals) {
  test(`refuses ${title}`, (t) => {
    const builder = new BlockBuilder(4);
    t.regex(builder.add(given) ?? 'taken', reason);
    t.is(builder.add([7]), undefined);
    t.deepEqual(builder.finish(), { block: new Float32Array([7]), lengths: [-1, 1] });
  });
}

test('a detached array counts as a vector without numbers', (t) => {
  const detached = new Float32Array(3);
  structuredClone(detached, { transfer: [detached.buffer] });
  const builder = new BlockBuilder(0);
  t.is(builder.add(detached), undefined);
  t.deepEqual(builder.finish().lengths, [0]);
});

test('a block of the caller is a Float32Array that no other thread sees', (t) => {
  t.is(blockFault(new Float32Array(2)), undefined);
  t.regex(blockFault([1, 2]) ?? '', /is an Array/);
  t.regex(blockFault(new Float32Array(new SharedArrayBuffer(8))) ?? '', /SharedArrayBuffer/);
});
