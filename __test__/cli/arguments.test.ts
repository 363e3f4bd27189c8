import test from 'ava';
import { type Arguments, parseArguments, UsageError } from '../../src/cli/arguments.js';

const SPECS = {
  store: { value: 'folder', help: '' },
  limit: { value: 'n', help: '' },
  rule: { value: 'rule', help: '' },
  filter: { value: 'json', help: '' },
  threshold: { value: 'n', help: '' },
  fresh: { help: '' },
};

const parse = (...argv: string[]) => parseArguments(argv, SPECS);

test('options and positional arguments may be mixed', (t) => {
  const args = parse('a', '--store', 's', 'b', '--limit=5', '--fresh', '--', '--c');
  t.deepEqual(args.positionals, ['a', 'b', '--c']);
  t.is(args.required('store'), 's');
  t.is(args.count('limit', 1, 10), 5);
  t.true(args.has('fresh'));
  t.false(args.has('rule'));
  t.is(args.text('rule'), undefined);
});

test('values are read as what they are', (t) => {
  t.is(parse('--threshold', '-0.5e0'.replace('-', '')).number('threshold'), 0.5);
  t.is(parse('--threshold=-0.5').number('threshold'), -0.5);
  t.deepEqual(parse('--filter', '{"a": {"$gt": 1}}').jsonObject('filter'), { a: { $gt: 1 } });
  t.is(parse('--rule', 'skip').choice('rule', ['skip', 'error']), 'skip');
});

const REFUSED: readonly [argv: string[], read: (args: Arguments) => unknown, message: RegExp][] = [
  [['--unknown', 'x'], () => undefined, /--unknown/],
  [['--store'], () => undefined, /store/],
  [['--fresh=yes'], () => undefined, /fresh/],
  [['--store', 'a', '--store', 'b'], () => undefined, /--store is given 2 times/],
  [[], (args) => args.required('store'), /--store is needed/],
  [['--limit', '0'], (args) => args.count('limit', 1, 10), /--limit is 0; .* 1 to 10/],
  [['--limit', '11'], (args) => args.count('limit', 1, 10), /--limit is 11/],
  [['--limit', '0'], (args) => args.count('limit', 1), /--limit is 0; .* 1 or more/],
  [['--limit', '2.5'], (args) => args.count('limit', 1, 10), /--limit is 2\.5/],
  [['--limit', '1e1'], (args) => args.count('limit', 1, 10), /--limit is 1e1/],
  [['--threshold', 'high'], (args) => args.number('threshold'), /--threshold is high/],
  [['--threshold='], (args) => args.number('threshold'), /--threshold is/],
  [['--rule', 'x'], (args) => args.choice('rule', ['a', 'b']), /--rule is x; .*a, b/],
  [['--filter', '{'], (args) => args.jsonObject('filter'), /--filter is no JSON/],
  [['--filter', '[]'], (args) => args.jsonObject('filter'), /--filter is no JSON object/],
];

for (const [argv, read, message] of REFUSED) {
  test(`refused: ${JSON.stringify(argv)} ${message.source}`, (t) => {
    t.throws(() => read(parse(...argv)), { instanceOf: UsageError, message });
  });
}
