import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contendersOf } from './contenders.js';
import { datasetNames } from './datasets.js';
import type { Contender } from './engine.js';
import type { TimeLimits } from './measure.js';

/** The help of the command line. */
export const HELP = `npm run bench:peers -- [options]

Volley beside usearch, hnswlib, zvec, LanceDB and sqlite-vec: build rate until all is searchable
through the index, queries per second at equal recall, event-loop delay, memory.

  --rows <count>       rows of each data set (default: all of the real ones, 100,000 generated)
  --only <list>        data sets: real, real-ordered, 384, 768, 1536 (default: the real ones, or
                       384 where there are none, then 768 and 1536)
  --engines <list>     engines whose name contains one of these words (default: all)
  --rounds <count>     processes per engine and data set, taken in turn (default 3)
  --threads <count>    threads of every engine that can be told (default: all of the machine)
  --build-limit <s>    insertion into one engine stops after so many seconds (default 900)
  --point-limit <s>    searches of one setting stop after so many seconds (default 20)
  --name <name>        names the files (default peers)
  --results <folder>   where they go (default bench/results)
  --scratch <folder>   where stores and data lie meanwhile (default: the system's temporary folder)
  --help               this text

  VOLLEY_BENCH_DATA=<folder>   real embeddings: passages.f16.npy in an order that keeps neighbors
                       together, queries.f16.npy, neighbors.i32.npy

It writes <name>.json, <name>.md and charts. A peer that cannot be installed is listed as absent.`;

/** What a run was asked for. */
export interface Options {
  readonly rows: number | undefined;
  readonly datasets: readonly string[];
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly threads: number;
  readonly limits: TimeLimits;
  readonly name: string;
  readonly results: string;
  readonly scratch: string | undefined;
}

/** Reads the command line; `undefined` where it asks for help. */
export function readOptions(parameters: string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: parameters,
    options: {
      rows: text,
      only: text,
      engines: text,
      rounds: { ...text, default: '3' },
      threads: { ...text, default: String(availableParallelism()) },
      'build-limit': { ...text, default: '900' },
      'point-limit': { ...text, default: '20' },
      name: { ...text, default: 'peers' },
      results: { ...text, default: fileURLToPath(new URL('../results', import.meta.url)) },
      scratch: text,
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (!/^[\w.-]+$/.test(values.name)) throw new Error(`--name: "${values.name}" names no file`);
  return {
    rows: values.rows === undefined ? undefined : positive('rows', values.rows),
    datasets: datasetNames(values.only),
    contenders: contendersOf(values.engines),
    rounds: positive('rounds', values.rounds),
    threads: positive('threads', values.threads),
    limits: {
      build: positive('build-limit', values['build-limit']),
      point: positive('point-limit', values['point-limit']),
    },
    name: values.name,
    results: values.results,
    scratch: values.scratch,
  };
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new Error(`--${name}: ${value} is not a whole number above 0`);
}
