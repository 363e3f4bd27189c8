/** How an engine was filled. */
export interface Build {
  /** Rows inserted; fewer than the data set has where time ran out. */
  readonly rows: number;
  /** From the first insertion until all rows are searchable through the index. */
  readonly seconds: number;
  /** False where time ran out: then nothing was searched. */
  readonly complete: boolean;
  /** Part of the time that went into making the engine's own input of typed arrays, in ms. */
  readonly conversionMs: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Anonymous memory that the process gained, by the rows; where the system tells. */
  readonly bytesPerVector?: number;
}

/** How searches went with one setting. */
export interface SearchPoint {
  /** Width of the beam; `null` where the engine compares with every row. */
  readonly efSearch: number | null;
  readonly threads: number;
  /** Share of the ten nearest rows that were found. */
  readonly recall: number;
  /** Queries per second. */
  readonly rate: number;
  /** Different queries that were asked: not all, where time ran out. */
  readonly queries: number;
}

/** One process: one engine, one data set. */
export type Round =
  | {
      readonly status: 'measured';
      readonly version: string;
      readonly build: Build;
      readonly search: readonly SearchPoint[];
      /** Median time of an append with sync just before, in ms: 4 KiB, and a batch of vectors. */
      readonly syncMs: { readonly small: number; readonly batch: number };
      /** What was left out, and why. */
      readonly notes: readonly string[];
    }
  | { readonly status: 'absent' | 'failed'; readonly reason: string };

/** All rounds of one engine on one data set. */
export interface EngineRounds {
  readonly name: string;
  readonly durability: string;
  readonly remark?: string;
  readonly rounds: Round[];
}

/** Everything that was measured on one data set. */
export interface DatasetReport {
  /** As `--only` names it. */
  readonly key: string;
  readonly name: string;
  readonly dimension: number;
  readonly rows: number;
  readonly queries: number;
  readonly engines: readonly EngineRounds[];
}

/** What is written to the results folder. */
export interface Report {
  readonly date: string;
  readonly machine: string;
  readonly threads: number;
  readonly rounds: number;
  readonly batch: number;
  readonly k: number;
  readonly m: number;
  readonly efConstruction: number;
  /** Data sets that were asked for and are not to be had. */
  readonly missing: readonly string[];
  readonly datasets: readonly DatasetReport[];
}
