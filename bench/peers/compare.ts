import { median } from '../machine.js';
import type { DatasetReport, EngineRounds, Round, SearchPoint } from './results.js';

/** Recalls at which searches are compared in tables. */
export const RECALLS = [0.9, 0.95, 0.97, 0.99];
/** Between these, at steps of .005, the least ratio is looked for. */
const LEAST_RECALL = 0.9;
const MOST_RECALL = 0.99;

type Measured = Extract<Round, { status: 'measured' }>;

/** One engine's medians over its rounds. */
export interface Summary {
  readonly name: string;
  readonly durability: string;
  readonly remark?: string;
  readonly version: string;
  /** Rows per second until all were searchable; of the rows inserted, where time ran out. */
  readonly buildRate: number;
  readonly complete: boolean;
  readonly conversionShare: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  readonly bytesPerVector: number | undefined;
  /** Disk's sync times at the start of the rounds, in ms. */
  readonly syncMs: { readonly small: number; readonly batch: number };
  readonly points: readonly SearchPoint[];
  readonly notes: readonly string[];
}

/** The medians of an engine, or `undefined` where no round of it was measured. */
export function summarise(engine: EngineRounds): Summary | undefined {
  const rounds = engine.rounds.filter((round): round is Measured => round.status === 'measured');
  const [first] = rounds;
  if (first === undefined) return undefined;
  const over = (pick: (round: Measured) => number) => median(rounds.map(pick));
  const { name, durability, remark } = engine;
  const bytes = rounds.flatMap(({ build }) => build.bytesPerVector ?? []);
  return {
    name,
    durability,
    ...(remark === undefined ? {} : { remark }),
    version: first.version,
    buildRate: over(({ build }) => build.rows / build.seconds),
    complete: rounds.every(({ build }) => build.complete),
    conversionShare: over(({ build }) => build.conversionMs / 1000 / build.seconds),
    loopDelayP99Ms: over(({ build }) => build.loopDelayP99Ms),
    loopDelayMaxMs: over(({ build }) => build.loopDelayMaxMs),
    bytesPerVector: bytes.length === 0 ? undefined : median(bytes),
    syncMs: {
      small: over(({ syncMs }) => syncMs.small),
      batch: over(({ syncMs }) => syncMs.batch),
    },
    points: medianPoints(rounds),
    notes: [...new Set(rounds.flatMap(({ notes }) => notes))],
  };
}

/** Points of the same setting become one, of median recall and rate. */
function medianPoints(rounds: readonly Measured[]): SearchPoint[] {
  const groups = new Map<string, SearchPoint[]>();
  for (const point of rounds.flatMap(({ search }) => search)) {
    const key = `${point.threads} ${point.efSearch}`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  return [...groups.values()].map((points) => ({
    ...(points[0] as SearchPoint),
    recall: median(points.map(({ recall }) => recall)),
    rate: median(points.map(({ rate }) => rate)),
    queries: Math.min(...points.map(({ queries }) => queries)),
  }));
}

/** The points that no other beats in both recall and rate, by rising recall. */
export function frontier(points: readonly SearchPoint[]): SearchPoint[] {
  const best: SearchPoint[] = [];
  const byRecall = [...points].sort((a, b) => b.recall - a.recall || b.rate - a.rate);
  for (const point of byRecall) {
    if (point.rate > (best.at(-1)?.rate ?? 0)) best.push(point);
  }
  return best.reverse();
}

/**
 * Queries per second at a recall: on the line between the measured points around it (the rate's
 * logarithm), the first point's own rate below all of them, `undefined` above.
 */
export function rateAt(points: readonly SearchPoint[], recall: number): number | undefined {
  const best = frontier(points);
  const above = best.findIndex((point) => point.recall >= recall);
  const [low, high] = [best[above - 1], best[above]];
  if (high === undefined) return undefined;
  if (low === undefined) return high.rate;
  const share = (recall - low.recall) / (high.recall - low.recall);
  return low.rate * (high.rate / low.rate) ** share;
}

/** How our search stands against a peer's, with the same count of threads. */
export interface SearchRatio {
  readonly threads: number;
  /** Ours by theirs at each of {@link RECALLS}; `undefined` where one does not reach it. */
  readonly at: readonly (number | undefined)[];
  /** The least ratio where both reach the recall; `undefined` where that is nowhere. */
  readonly least: { readonly ratio: number; readonly recall: number } | undefined;
  /** The highest recall in the range that the peer reaches and we do not. */
  readonly unreached: number | undefined;
}

/** Ratios for each count of threads that both were searched with. */
export function searchRatios(ours: Summary, peer: Summary): SearchRatio[] {
  const counts = [...new Set(peer.points.map(({ threads }) => threads))];
  return counts.flatMap((threads) => {
    const mine = ours.points.filter((point) => point.threads === threads);
    const theirs = peer.points.filter((point) => point.threads === threads);
    return mine.length === 0 ? [] : [searchRatio(threads, mine, theirs)];
  });
}

function searchRatio(
  threads: number,
  mine: readonly SearchPoint[],
  theirs: readonly SearchPoint[],
): SearchRatio {
  let least: SearchRatio['least'];
  let unreached: number | undefined;
  const steps = Math.round((MOST_RECALL - LEAST_RECALL) / 0.005);
  for (let step = 0; step <= steps; step++) {
    const recall = LEAST_RECALL + step * 0.005;
    const [our, their] = [rateAt(mine, recall), rateAt(theirs, recall)];
    if (their === undefined) break;
    if (our === undefined) unreached = recall;
    else if (least === undefined || our / their < least.ratio)
      least = { ratio: our / their, recall };
  }
  const at = RECALLS.map((recall) => {
    const [our, their] = [rateAt(mine, recall), rateAt(theirs, recall)];
    return our === undefined || their === undefined ? undefined : our / their;
  });
  return { threads, at, least, unreached };
}

/** The engines of a data set that were measured, and ours among them. */
export function summaries(data: DatasetReport): {
  all: Summary[];
  durable: Summary | undefined;
  volatile: Summary | undefined;
  peers: Summary[];
} {
  const all = data.engines.flatMap((engine) => summarise(engine) ?? []);
  const named = (name: string) => all.find((summary) => summary.name === name);
  return {
    all,
    durable: named('volley always'),
    volatile: named('volley never'),
    peers: all.filter(({ name }) => !name.startsWith('volley')),
  };
}

/** The counts of threads that engines were searched with, rising. */
export function threadCounts(all: readonly Summary[]): number[] {
  const counts = new Set(all.flatMap(({ points }) => points.map(({ threads }) => threads)));
  return [...counts].sort((a, b) => a - b);
}
