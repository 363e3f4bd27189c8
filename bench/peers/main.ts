/** `npm run bench:peers`: Volley beside other vector stores. What it takes: options.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { K } from '../data.js';
import { processor } from '../machine.js';
import { buildChart, searchChart } from './chart.js';
import { summaries, threadCounts } from './compare.js';
import { makeDataset, type WrittenDataset, writeDataset } from './datasets.js';
import { BATCH, EF_CONSTRUCTION, M } from './engine.js';
import { HELP, type Options, readOptions } from './options.js';
import type { DatasetReport, EngineRounds, Report, Round } from './results.js';
import { markdown } from './table.js';
import { turn } from './turn.js';

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const options = optionsOrEnd();
const scratch = mkdtempSync(join(options.scratch ?? tmpdir(), 'volley-peers-'));
// However the run ends: what lies there can be gigabytes.
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await run(options);

function optionsOrEnd(): Options {
  try {
    const read = readOptions(process.argv.slice(2));
    if (read !== undefined) return read;
    print(HELP);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

async function run({ datasets, rounds, rows, threads }: Options): Promise<void> {
  const measured: DatasetReport[] = [];
  const missing: string[] = [];
  const date = new Date().toISOString().slice(0, 10);
  for (const key of datasets) {
    const made = written(key, rows);
    if (made === undefined) {
      print(`${key}: not to be had (VOLLEY_BENCH_DATA)`);
      missing.push(key);
    } else {
      measured.push(await compare(key, made));
    }
    // After each data set, so that a run that is ended early leaves what it has.
    write({
      date,
      machine: processor(),
      threads,
      rounds,
      batch: BATCH,
      k: K,
      m: M,
      efConstruction: EF_CONSTRUCTION,
      missing,
      datasets: measured,
    });
  }
}

/** The numbers leave this process's memory before the engines take their turns. */
function written(key: string, rows: number | undefined): WrittenDataset | undefined {
  print(`\n${key}: making the data`);
  const data = makeDataset(key, rows);
  return data === undefined ? undefined : writeDataset(data, scratch);
}

async function compare(key: string, data: WrittenDataset): Promise<DatasetReport> {
  const { contenders, limits, rounds, threads } = options;
  const { count, dimension, name, queryCount } = data;
  print(`${name}: ${count} x ${dimension}, ${rounds} rounds`);
  const engines: EngineRounds[] = contenders.map(({ name, durability, remark }) => ({
    name,
    durability,
    ...(remark === undefined ? {} : { remark }),
    rounds: [],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const engine of engines) {
      const result = await turn({ contender: engine.name, data, threads, limits }, scratch);
      engine.rounds.push(result);
      print(`  ${round + 1}  ${engine.name.padEnd(16)} ${told(result)}`);
    }
  }
  return { key, name, dimension, rows: count, queries: queryCount, engines };
}

function told(round: Round): string {
  if (round.status !== 'measured') return `${round.status}: ${round.reason}`;
  const { build, search, notes } = round;
  const rate = `${Math.round(build.rows / build.seconds)} vectors/s`;
  const ends = [search[0], search.at(-1)].flatMap((point) =>
    point === undefined ? [] : `${point.recall.toFixed(3)} @ ${Math.round(point.rate)}/s`,
  );
  return [rate, ...ends, ...notes].join(', ');
}

function write(report: Report): void {
  const { name, results } = options;
  mkdirSync(results, { recursive: true });
  const put = (file: string, content: string) => writeFileSync(join(results, file), content);
  const charts = (data: DatasetReport) => {
    const { all } = summaries(data);
    const title = `${data.name}, ${data.rows} x ${data.dimension}`;
    const build = `${name}-${data.key}-build.svg`;
    put(build, buildChart(`Vectors per second until indexed: ${title}`, all));
    const searches = threadCounts(all).map((threads) => {
      const file = `${name}-${data.key}-search-${threads}.svg`;
      put(file, searchChart(`Search, threads: ${threads}, ${title}`, all, threads));
      return file;
    });
    return [build, ...searches];
  };
  put(`${name}.md`, markdown(report, charts));
  put(`${name}.json`, `${JSON.stringify(report, null, 1)}\n`);
  print(`written: ${join(results, name)}.json, .md and charts`);
}
