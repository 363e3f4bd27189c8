import test from 'ava';
import { comparisonLines } from '../../src/cli/demo/report.js';
import { displayWidth } from '../../src/cli/format.js';
import type { LoadSummary } from '../../src/cli/load.js';
import { summaryDocument, summaryLines } from '../../src/cli/load-summary.js';
import { answerLines } from '../../src/cli/matches.js';
import { ProgressBar, progressLine } from '../../src/cli/progress-bar.js';
import { matchesForTest } from './helpers/matches.js';
import { memoryTerminal } from './helpers/memory-terminal.js';

test('a terminal shows styles; a file, NO_COLOR and a dumb terminal do not', (t) => {
  t.is(memoryTerminal({ isTTY: true }).terminal.style('bold', 'x'), '\x1b[1mx\x1b[22m');
  t.is(memoryTerminal().terminal.style('bold', 'x'), 'x');
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    t.is(memoryTerminal({ isTTY: true, env }).terminal.style('bold', 'x'), 'x');
  }
});

test('results go to stdout, notices to stderr', async (t) => {
  const { terminal, stdout, stderr } = memoryTerminal();
  terminal.print('a', 'b');
  terminal.notice('c');
  terminal.printJson({ data: Float32Array.of(1, 0.5) });
  await terminal.write('d');
  t.is(stdout.text, 'a\nb\n{"data":[1,0.5]}\nd');
  t.is(stderr.text, 'c\n');
});

test('the progress bar is drawn where somebody watches, and nowhere else', (t) => {
  const progress = { bytes: 500, bytesTotal: 1000, records: 1234 };
  const unwatched = memoryTerminal();
  const silent = new ProgressBar(unwatched.terminal);
  silent.update(progress);
  silent.clear();
  t.is(unwatched.stderr.text, '');

  const watched = memoryTerminal({ isTTY: true });
  const bar = new ProgressBar(watched.terminal);
  bar.update(progress);
  bar.clear();
  const clearLine = '\r\x1b[K';
  t.true(
    watched.stderr.text.startsWith(`${clearLine}█`) && watched.stderr.text.endsWith(clearLine),
  );
  t.regex(watched.stderr.text, /█+░+ {2}50 % {2}1,234 records/);
  t.is(watched.stdout.text, '');
});

test('the bar says what is done, the rate and the time that is left', (t) => {
  const line = progressLine({ bytes: 250, bytesTotal: 1000, records: 5000 }, 2000);
  t.is(line, `${'█'.repeat(6)}${'░'.repeat(18)}  25 %  5,000 records  2,500/s  6 s left`);
  const done = progressLine({ bytes: 0, bytesTotal: 0, records: 0 }, 10);
  t.regex(done, /100 %/);
});

const SUMMARY: LoadSummary = {
  inserted: 1998,
  skipped: 0,
  unchanged: 0,
  failed: 2,
  failures: new Map([['INVALID_VECTOR', 2]]),
  bytes: 123_456,
  batches: 2,
  elapsedMs: 1000,
};

test('the summary says what was done, what failed, and what is safe', (t) => {
  t.deepEqual(summaryLines(SUMMARY, { durability: 'always', failures: 'f.ndjson' }), [
    'Imported 1,998 records in 1.00 s: 1,998/s',
    '  read        123.5 kB in 2 batches',
    '  failed      2: INVALID_VECTOR 2',
    '              the failed operations are in f.ndjson; import that file to try them again',
    '  durability  always: each batch was on the disk when it was acknowledged',
  ]);
  const document = summaryDocument(SUMMARY, { durability: 'never' });
  t.like(document, { inserted: 1998, failed: 2, failures: { INVALID_VECTOR: 2 }, ratePerS: 1998 });
});

test('an answer shows rank, score, id, a piece of the text and the metadata', (t) => {
  const { terminal } = memoryTerminal();
  t.deepEqual(answerLines('a question', matchesForTest(), terminal), [
    'a question  1.50 ms',
    '  1   0.875  docs/a.md#0',
    '             Some text on two lines',
    '             path: docs/a.md  tags: ["x"]',
    '  2  -0.250  b',
  ]);
});

test('an answer fits the terminal, whatever is in it', (t) => {
  const { terminal } = memoryTerminal();
  const answer = matchesForTest({ id: '漢'.repeat(200), text: '\x1b[2J'.repeat(99) });
  for (const line of answerLines('q'.repeat(300), answer, terminal)) {
    t.true(displayWidth(line) <= 80, line);
    t.false(line.includes('\x1b'));
  }
});

test('a failed query says why, and one without matches says so', (t) => {
  const { terminal } = memoryTerminal();
  const error = { errorCode: 'INVALID_QUERY', errorMessage: 'no', retriable: false } as const;
  const failed = { ...matchesForTest(), results: [], status: 'failed' as const, error };
  t.deepEqual(answerLines('q', failed, terminal)[1], '  INVALID_QUERY: no');
  const empty = { ...matchesForTest(), results: [] };
  t.deepEqual(answerLines('q', empty, terminal)[1], '  no match');
});

test('the comparison is a table in 80 columns', (t) => {
  const { terminal } = memoryTerminal();
  const comparison = { count: 500, singleMs: 1000, batchMs: 10 };
  const works = [
    { name: 'insert 500 passages', comparison },
    { name: 'ask 10 questions', comparison: { count: 10, singleMs: 10, batchMs: 4 } },
  ];
  const lines = comparisonLines(works, terminal);
  t.is(lines.length, 3);
  t.regex(lines[1] ?? '', /insert 500 passages +1\.00 s +500\/s +10 ms +50,000\/s +100\.0x/);
  t.regex(lines[2] ?? '', /2\.5x$/);
  for (const line of lines) t.true(line.length <= 80, line);
});
