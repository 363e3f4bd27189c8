import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { type Dataset, K } from '../data.js';
import { anonymousMemory, median, syncTimes } from '../machine.js';
import { inFlight } from '../work.js';
import { type Answer, BATCH, type Batch, type Contender, type Engine } from './engine.js';
import type { Build, Round, SearchPoint } from './results.js';

/** Time that is given to parts of a round, in seconds. */
export interface TimeLimits {
  /** Insertion stops after this. */
  readonly build: number;
  /** A setting's searches stop after this; wider beams are left out then. */
  readonly point: number;
}

/** Searches with one setting go on for at least this long, over and over, in seconds. */
const POINT_LEAST_SECONDS = 1;

/** Widths of the beam; the first is the least that can give ten matches. */
export const EF_SWEEP = [10, 16, 24, 32, 48, 64, 96, 128, 200, 320, 512];

/** Fills one engine with the data set and searches it with every setting. */
export async function measure(
  contender: Contender,
  data: Dataset,
  setting: { folder: string; threads: number; limits: TimeLimits },
): Promise<Round> {
  const { folder, threads, limits } = setting;
  const syncMs = {
    small: median(syncTimes(folder, 4096)),
    batch: median(syncTimes(folder, BATCH * data.dimension * 4)),
  };
  const batches = batchesOf(data);
  const before = settledMemory();
  const opening = { dimension: data.dimension, capacity: data.count, folder, threads };
  const engine = await contender.open(opening);
  const filled = await fill(engine, batches, limits.build);
  const after = settledMemory();
  const build: Build =
    before === undefined || after === undefined
      ? filled
      : { ...filled, bytesPerVector: (after - before) / filled.rows };
  const { points, notes } = build.complete
    ? await sweep(engine, contender, data, threads, limits.point)
    : { points: [], notes: [`insertion was stopped after ${limits.build} s, nothing searched`] };
  await engine.close();
  return { status: 'measured', version: engine.version, build, search: points, syncMs, notes };
}

/** What an error says, in one line, without this machine's paths. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0]?.replace(/ imported from .*/, '') ?? '';
}

/** Prepared beforehand, so that the clock sees the engine and not the making of ids. */
function batchesOf(data: Dataset): Batch[] {
  return Array.from({ length: Math.ceil(data.count / BATCH) }, (_, index) => {
    const firstRow = index * BATCH;
    const count = Math.min(BATCH, data.count - firstRow);
    const ids = Array.from({ length: count }, (_, place) => String(firstRow + place));
    const end = (firstRow + count) * data.dimension;
    return { firstRow, count, ids, vectors: data.base.subarray(firstRow * data.dimension, end) };
  });
}

function settledMemory(): number | undefined {
  globalThis.gc?.();
  return anonymousMemory();
}

async function fill(engine: Engine, batches: readonly Batch[], limit: number): Promise<Build> {
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  monitor.enable();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let rows = 0;
  await inFlight(batches.length, engine.insertsInFlight, async (index) => {
    const batch = batches[index];
    if (batch === undefined || seconds() > limit) return;
    await engine.insert(batch);
    rows += batch.count;
    // The turn of the event loop that a server would need between calls that block it.
    await setImmediate();
  });
  const complete = rows === batches.reduce((sum, { count }) => sum + count, 0);
  if (complete) await engine.indexed();
  const elapsed = seconds();
  await setImmediate();
  monitor.disable();
  return {
    rows,
    seconds: elapsed,
    complete,
    conversionMs: engine.conversionMs ?? 0,
    loopDelayP99Ms: monitor.percentile(99) / 1e6,
    loopDelayMaxMs: monitor.max / 1e6,
  };
}

async function sweep(
  engine: Engine,
  contender: Contender,
  data: Dataset,
  threads: number,
  limit: number,
): Promise<{ points: SearchPoint[]; notes: string[] }> {
  const points: SearchPoint[] = [];
  const notes: string[] = [];
  const widths = EF_SWEEP.filter((efSearch) => efSearch >= (contender.leastEfSearch ?? 0));
  for (const count of contender.searchThreads(threads)) {
    for (const efSearch of contender.approximate ? widths : [null]) {
      const setting = `threads ${count}, ${efSearch === null ? 'exact' : `ef ${efSearch}`}`;
      const rest = efSearch === null ? '' : '; wider beams left out';
      try {
        await engine.tune(efSearch ?? 0, count);
        const point = await searchPoint(engine, data, efSearch, count, limit);
        points.push(point);
        if (point.queries === data.queryCount) continue;
        const asked = `${point.queries} of ${data.queryCount} queries in ${limit} s`;
        notes.push(`${setting}: ${asked}${rest}`);
      } catch (error) {
        notes.push(`${setting}: ${firstLine(error)}${rest}`);
      }
      break;
    }
  }
  return { points, notes };
}

async function searchPoint(
  engine: Engine,
  data: Dataset,
  efSearch: number | null,
  threads: number,
  limit: number,
): Promise<SearchPoint> {
  const { queriesPerCall } = engine;
  const calls = Math.ceil(data.queryCount / queriesPerCall);
  const answers: Answer[][] = [];
  const ask = async (index: number) => {
    const from = index * queriesPerCall * data.dimension;
    const queries = data.queries.subarray(from, from + queriesPerCall * data.dimension);
    return await engine.search(queries, K);
  };
  await ask(0);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let [asked, next] = [0, 0];
  const lane = async () => {
    // Each query once, then all over again until the time is worth measuring.
    while (seconds() < (next < calls ? limit : Math.min(limit, POINT_LEAST_SECONDS))) {
      const index = next++ % calls;
      const found = await ask(index);
      answers[index] = found;
      asked += found.length;
    }
  };
  await Promise.all(Array.from({ length: engine.searchesInFlight(threads) }, lane));
  const rate = asked / seconds();
  const { recall, queries } = judged(answers, queriesPerCall, data);
  return { efSearch, threads, recall, rate, queries };
}

/** How many queries were answered, and the share of their nearest rows that the answers hold. */
function judged(
  answers: readonly (Answer[] | undefined)[],
  queriesPerCall: number,
  data: Dataset,
): { recall: number; queries: number } {
  let [hits, queries] = [0, 0];
  answers.forEach((ofCall, call) => {
    ofCall?.forEach((answer, place) => {
      const query = call * queriesPerCall + place;
      const truth = new Set(data.nearest.subarray(query * K, (query + 1) * K));
      for (const id of new Set(Array.from(answer, Number))) if (truth.has(id)) hits++;
      queries++;
    });
  });
  return { recall: hits / (queries * K), queries };
}
