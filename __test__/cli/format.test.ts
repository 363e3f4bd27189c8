import test from 'ava';
import fc from 'fast-check';
import {
  displayWidth,
  formatAmount,
  formatBytes,
  formatDuration,
  formatRate,
  formatTable,
  formatTally,
  singleLine,
  truncate,
  wrap,
} from '../../src/cli/format.js';

test('numbers', (t) => {
  t.is(formatAmount(1, 'record'), '1 record');
  t.is(formatAmount(12345, 'record'), '12,345 records');
  t.is(formatRate(12345.6), '12,346/s');
  t.is(formatRate(1.25), '1.3/s');
  t.is(formatRate(Number.POSITIVE_INFINITY), '-');
  t.is(formatBytes(999), '999 B');
  t.is(formatBytes(1000), '1.0 kB');
  t.is(formatBytes(999_960), '1.0 MB');
  t.is(formatBytes(2.5e15), '2500.0 TB');
  t.is(
    formatTally(
      new Map([
        ['B', 2],
        ['A', 2],
        ['C', 1000],
      ]),
    ),
    'C 1,000, A 2, B 2',
  );
});

test('durations', (t) => {
  t.is(formatDuration(0.123), '0.12 ms');
  t.is(formatDuration(12.3), '12 ms');
  t.is(formatDuration(1234), '1.23 s');
  t.is(formatDuration(12_345), '12.3 s');
  t.is(formatDuration(119_600), '2 min 00 s');
});

test('control characters never reach the terminal', (t) => {
  t.is(singleLine('a\x1b[31mb\r\n\tc\x00\u202Ed'), 'a [31mb c d');
});

test('text is cut to columns, wide characters counted twice', (t) => {
  t.is(truncate('abcdef', 6), 'abcdef');
  t.is(truncate('abcdefg', 6), 'abcde…');
  t.is(truncate('漢字漢字', 6), '漢字…');
  t.is(displayWidth('e\u0301漢'), 3);
});

test('wrapped lines fit, and hold the text in order', (t) => {
  t.deepEqual(wrap('the quick brown fox jumps', 10, 2), ['the quick', 'brown fox…']);
  t.deepEqual(wrap('abcdefghijklmno', 5, 9), ['abcde', 'fghij', 'klmno']);
  const property = fc.property(
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.integer({ min: 4, max: 40 }),
    (text, width) => {
      const lines = wrap(text, width, 1000);
      const squeeze = (s: string) => s.replace(/ /g, '');
      return (
        lines.every((line) => displayWidth(line) <= width) &&
        squeeze(lines.join('')) === squeeze(singleLine(text))
      );
    },
  );
  t.notThrows(() => fc.assert(property));
});

test('columns of a table line up, numbers on the right', (t) => {
  t.deepEqual(
    formatTable([
      ['a', 5, 'x'],
      ['long', 1234, ''],
    ]),
    ['a         5  x', 'long  1,234'],
  );
});
