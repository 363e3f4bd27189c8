import test from 'ava';
import fc from 'fast-check';
import {
  frontier,
  rateAt,
  type Summary,
  searchRatios,
  summaries,
  summarise,
} from '../../bench/peers/compare.js';
import type { EngineRounds, Round, SearchPoint } from '../../bench/peers/results.js';
import { markdown } from '../../bench/peers/table.js';

const point = (recall: number, rate: number, efSearch = 64, threads = 1): SearchPoint => ({
  efSearch,
  threads,
  recall,
  rate,
  queries: 1000,
});

function measured(vectorsPerSecond: number, search: SearchPoint[], notes: string[] = []): Round {
  return {
    status: 'measured',
    version: 'some 1.0.0',
    build: {
      rows: 1000,
      seconds: 1000 / vectorsPerSecond,
      complete: true,
      conversionMs: 0,
      loopDelayP99Ms: 1,
      loopDelayMaxMs: 2,
      bytesPerVector: 100,
    },
    search,
    syncMs: { small: 1, batch: 2 },
    notes,
  };
}

const engine = (name: string, rounds: Round[]): EngineRounds => ({
  name,
  durability: 'none',
  rounds,
});

const summary = (name: string, ...rounds: Round[]) => summarise(engine(name, rounds)) as Summary;

const points = fc.array(
  fc.tuple(
    fc.double({ min: 0.5, max: 1, noNaN: true }),
    fc.double({ min: 1, max: 1e5, noNaN: true }),
  ),
  { minLength: 1, maxLength: 12 },
);

test('the frontier holds the points that no other beats in both', (t) => {
  t.deepEqual(frontier([point(0.9, 100), point(0.95, 120), point(0.99, 20), point(0.98, 10)]), [
    point(0.95, 120),
    point(0.99, 20),
  ]);
});

test('the rate between two points is their geometric mean halfway', (t) => {
  const between = rateAt([point(0.9, 400), point(0.98, 100)], 0.94);
  t.true(Math.abs((between ?? 0) - 200) < 1e-6);
});

test('below the first point its rate counts, above the last one nothing does', (t) => {
  const two = [point(0.9, 400), point(0.98, 100)];
  t.is(rateAt(two, 0.5), 400);
  t.is(rateAt(two, 0.9), 400);
  t.is(rateAt(two, 0.98), 100);
  t.is(rateAt(two, 0.981), undefined);
});

test('the rate never rises with the recall and stays among the measured ones', (t) => {
  const law = fc.property(points, fc.double({ min: 0.5, max: 1, noNaN: true }), (pairs, recall) => {
    const all = pairs.map(([reached, rate]) => point(reached, rate));
    const [rate, higher] = [rateAt(all, recall), rateAt(all, Math.min(1, recall + 0.01))];
    const rates = all.map((one) => one.rate);
    const slack = 1 + 1e-9;
    if (rate === undefined) return !all.some((one) => one.recall >= recall) && higher === undefined;
    const among = rate * slack >= Math.min(...rates) && rate <= Math.max(...rates) * slack;
    return among && (higher === undefined || higher <= rate * slack);
  });
  t.notThrows(() => fc.assert(law));
});

test('rounds become medians, setting by setting', (t) => {
  const { buildRate, points: found } = summary(
    'x',
    measured(100, [point(0.9, 10), point(0.95, 7, 128)]),
    measured(900, [point(0.91, 30), point(0.96, 5, 128)]),
    measured(300, [point(0.92, 20), point(0.97, 6, 128)]),
  );
  t.is(Math.round(buildRate), 300);
  t.deepEqual(found, [point(0.91, 20), point(0.96, 6, 128)]);
});

test('rounds that failed do not count, and an engine without others has no figures', (t) => {
  const failed: Round = { status: 'failed', reason: 'no end within 1 s' };
  t.is(Math.round(summary('x', failed, measured(300, [])).buildRate), 300);
  t.is(summarise(engine('x', [failed])), undefined);
});

test('ratios are taken at equal recall and for the same count of threads', (t) => {
  const ours = summary('ours', measured(1, [point(0.9, 400, 16), point(0.99, 100)]));
  const peer = summary(
    'peer',
    measured(1, [point(0.9, 100, 16), point(0.99, 100), point(0.99, 1, 64, 2)]),
  );
  const [ratio, ...others] = searchRatios(ours, peer);
  t.deepEqual(others, []);
  t.is(ratio?.threads, 1);
  t.is(ratio?.at[0], 4);
  t.is(ratio?.at[3], 1);
  t.is(ratio?.least?.ratio, 1);
  t.is(ratio?.unreached, undefined);
});

test('a recall that only the peer reaches is told', (t) => {
  const ours = summary('ours', measured(1, [point(0.95, 400)]));
  const peer = summary('peer', measured(1, [point(0.97, 100)]));
  const [ratio] = searchRatios(ours, peer);
  t.is(ratio?.least?.ratio, 4);
  t.is(ratio?.unreached?.toFixed(3), '0.970');
});

test('the table lists what was lost, what was left out and what is absent', (t) => {
  const data = {
    key: '384',
    name: 'some vectors',
    dimension: 384,
    rows: 1000,
    queries: 1000,
    engines: [
      engine('volley always', [measured(100, [point(0.99, 10)])]),
      engine('fast', [measured(200, [point(0.99, 20)], ['ef 512: left out'])]),
      engine('gone', [{ status: 'absent', reason: 'Cannot find package' }]),
    ],
  } as const;
  t.deepEqual(
    summaries(data).peers.map(({ name }) => name),
    ['fast'],
  );
  const text = markdown(
    {
      date: '2020-01-01',
      machine: 'some machine',
      threads: 2,
      rounds: 1,
      batch: 1000,
      k: 10,
      m: 16,
      efConstruction: 100,
      missing: ['real'],
      datasets: [data],
    },
    () => ['chart.svg'],
  );
  t.regex(text, /some machine, 2020-01-01/);
  t.regex(text, /- build: 0\.50x of fast\n/);
  t.regex(text, /- search: 0\.50x of fast, 1 thread, at \.90\n/);
  t.regex(text, /- fast: ef 512: left out/);
  t.regex(text, /- gone, round 1: absent, Cannot find package/);
  t.regex(text, /`real` is not to be had here/);
});
