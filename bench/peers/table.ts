import {
  RECALLS,
  rateAt,
  type SearchRatio,
  type Summary,
  searchRatios,
  summaries,
  threadCounts,
} from './compare.js';
import type { DatasetReport, Report } from './results.js';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const times = (ratio: number | undefined) => (ratio === undefined ? '-' : `${ratio.toFixed(2)}x`);
const recallText = (recall: number) => recall.toFixed(3).replace(/^0|(?<=\.\d\d)0$/g, '');

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = `|${heads.map((_, place) => (place === 0 ? '---|' : '---:|')).join('')}`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}

/** The report as Markdown; charts are named as `charts` says. */
export function markdown(report: Report, charts: (data: DatasetReport) => string[]): string {
  const { batch, efConstruction, k, m, rounds, threads } = report;
  const parts = [
    '# Volley beside its peers',
    `${report.machine}, ${report.date}.`,
    `One process per engine and round, taken in turn, ${rounds} rounds, medians. Batches of ` +
      `${whole.format(batch)} vectors from JavaScript's typed arrays, ${threads} threads, until all ` +
      `are searchable through the index; M ${m}, efConstruction ${efConstruction} where an engine ` +
      `has them; k = ${k}, recall against exact search. Rates between measured points are ` +
      'interpolated; a ratio is Volley (durable: synced before it is acknowledged) by the peer.',
    ...report.missing.map((name) => `Data set \`${name}\` is not to be had here.`),
    ...report.datasets.map((data) => datasetPart(data, charts(data))),
  ];
  return `${parts.join('\n\n')}\n`;
}

function datasetPart(data: DatasetReport, charts: readonly string[]): string {
  const { all, durable, volatile, peers } = summaries(data);
  const parts = [
    `## ${data.name}: ${whole.format(data.rows)} x ${data.dimension}`,
    ...charts.map((file) => `![${file}](${file})`),
    `### Build\n\n${buildTable(all, durable, volatile)}`,
    ...threadCounts(all).map(
      (threads) =>
        `### Search, ${threads} thread${threads > 1 ? 's' : ''}\n\n` +
        searchTable(all, durable, threads),
    ),
  ];
  if (durable !== undefined) {
    const behind = losses(durable, peers);
    const none = 'Nowhere in these figures.';
    const list = behind.length === 0 ? none : behind.map((text) => `- ${text}`).join('\n');
    parts.push(`### Where Volley is behind\n\n${list}`);
  }
  parts.push(`### Every point\n\n${pointTable(all)}`);
  const remarks = remarksOf(data, all);
  if (remarks.length > 0)
    parts.push(`### Remarks\n\n${remarks.map((text) => `- ${text}`).join('\n')}`);
  return parts.join('\n\n');
}

function buildTable(
  all: readonly Summary[],
  durable: Summary | undefined,
  volatile: Summary | undefined,
): string {
  const heads = [
    'engine',
    'on the disk when acknowledged',
    'vectors/s',
    'Volley durable',
    'Volley volatile',
    'loop delay p99 / max, ms',
    'anonymous memory a vector, bytes',
    'converting input',
    'sync 4 KiB / batch, ms',
  ];
  const rows = all.map((engine) => [
    engine.name,
    engine.durability,
    `${whole.format(engine.buildRate)}${engine.complete ? '' : ' (stopped)'}`,
    times(durable && durable.buildRate / engine.buildRate),
    times(volatile && volatile.buildRate / engine.buildRate),
    `${engine.loopDelayP99Ms.toFixed(1)} / ${engine.loopDelayMaxMs.toFixed(0)}`,
    engine.bytesPerVector === undefined ? '-' : whole.format(engine.bytesPerVector),
    `${(engine.conversionShare * 100).toFixed(0)} %`,
    `${engine.syncMs.small.toFixed(2)} / ${engine.syncMs.batch.toFixed(2)}`,
  ]);
  return table(heads, rows);
}

function searchTable(
  all: readonly Summary[],
  durable: Summary | undefined,
  threads: number,
): string {
  const heads = ['engine', ...RECALLS.map((recall) => `QPS at ${recallText(recall)}`)];
  const rows = all.flatMap((engine) => {
    const points = engine.points.filter((point) => point.threads === threads);
    if (points.length === 0) return [];
    const ratio = ratioOf(durable, engine, threads);
    const cells = RECALLS.map((recall, place) => {
      const rate = rateAt(points, recall);
      if (rate === undefined) return 'not reached';
      const against = engine === durable ? '' : ` (${times(ratio?.at[place])})`;
      return `${whole.format(rate)}${against}`;
    });
    const least = ratio?.least;
    const leastText =
      engine === durable || least === undefined
        ? '-'
        : `${times(least.ratio)} at ${recallText(least.recall)}`;
    return [[engine.name, ...cells, leastText]];
  });
  return table([...heads, 'least ratio, .9 to .99'], rows);
}

function ratioOf(
  durable: Summary | undefined,
  peer: Summary,
  threads: number,
): SearchRatio | undefined {
  if (durable === undefined) return undefined;
  return searchRatios(durable, peer).find((ratio) => ratio.threads === threads);
}

/** Every measured way in which a peer is ahead of Volley, durable. */
function losses(ours: Summary, peers: readonly Summary[]): string[] {
  return peers.flatMap((peer) => {
    const found = [];
    const build = ours.buildRate / peer.buildRate;
    if (build < 1) found.push(`build: ${times(build)} of ${peer.name}`);
    const [mine, theirs] = [ours.bytesPerVector, peer.bytesPerVector];
    if (mine !== undefined && theirs !== undefined && mine > theirs) {
      found.push(
        `memory: ${whole.format(mine)} bytes a vector, ${peer.name} ${whole.format(theirs)}`,
      );
    }
    if (ours.loopDelayP99Ms > peer.loopDelayP99Ms) {
      const delays = `${ours.loopDelayP99Ms.toFixed(1)} ms, ${peer.name} ${peer.loopDelayP99Ms.toFixed(1)}`;
      found.push(`event-loop delay while building, p99: ${delays}`);
    }
    for (const { threads, least, unreached } of searchRatios(ours, peer)) {
      const beside = `${peer.name}, ${threads} thread${threads > 1 ? 's' : ''}`;
      if (least !== undefined && least.ratio < 1) {
        found.push(`search: ${times(least.ratio)} of ${beside}, at ${recallText(least.recall)}`);
      }
      if (unreached !== undefined) {
        found.push(`search: recall ${recallText(unreached)} not reached as by ${beside}`);
      }
    }
    return found;
  });
}

function pointTable(all: readonly Summary[]): string {
  const heads = ['engine', 'threads', 'ef', 'recall@10', 'QPS', 'queries'];
  const rows = all.flatMap(({ name, points }) =>
    points.map((point) => [
      name,
      String(point.threads),
      String(point.efSearch ?? 'exact'),
      point.recall.toFixed(4),
      whole.format(point.rate),
      String(point.queries),
    ]),
  );
  return table(heads, rows);
}

/** What was run, and everything that was left out, with the reason. */
function remarksOf(data: DatasetReport, all: readonly Summary[]): string[] {
  const versions = all.map(({ name, version, remark }) =>
    remark === undefined ? `${name}: ${version}` : `${name}: ${version}; ${remark}`,
  );
  const notes = all.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`));
  const failures = data.engines.flatMap(({ name, rounds }) =>
    rounds.flatMap((round, place) =>
      round.status === 'measured'
        ? []
        : [`${name}, round ${place + 1}: ${round.status}, ${round.reason}`],
    ),
  );
  return [...versions, ...notes, ...failures];
}
