/** One process: fills and searches one engine, sends what it measured to its parent, ends. */
import { CONTENDERS } from './contenders.js';
import { readDataset, type WrittenDataset } from './datasets.js';
import { firstLine, measure, type TimeLimits } from './measure.js';
import type { Round } from './results.js';

/** What the parent sends. */
export interface Job {
  readonly contender: string;
  readonly data: WrittenDataset;
  /** An empty folder for the engine's files. */
  readonly folder: string;
  readonly threads: number;
  readonly limits: TimeLimits;
}

async function round(job: Job): Promise<Round> {
  const contender = CONTENDERS.find(({ name }) => name === job.contender);
  if (contender === undefined) return { status: 'failed', reason: `no engine ${job.contender}` };
  try {
    return await measure(contender, readDataset(job.data), job);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    return { status: missing ? 'absent' : 'failed', reason: firstLine(error) };
  }
}

process.once('disconnect', () => process.exit(1));
process.once('message', async (job: Job) => {
  const result = await round(job);
  process.send?.(result, () => process.exit(0));
});
