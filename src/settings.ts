import { camelDeep } from './decode.js';
import type { Door } from './native/door.js';
import { names } from './options.js';
import type { RetryRule } from './retry.js';

/** The settings that fit a purpose; single keys can be set above them. */
export type Preset = 'high-performance' | 'memory-conscious' | 'development';

/** How a store treats batches: the keys of `batch_operations` in a configuration. */
export interface BatchOperations {
  /** Most operations or queries of one call on served doors, 1 to 1,000,000. @default 1000 */
  maxBatchSize: number;
  /** MiB that requests in flight and staged may take, in this process. @default 512 */
  maxMemoryUsageMb: number;
  /** Chunks of one stream that are in work at the same time, 1 to 256. @default 4 */
  parallelWorkers: number;
  /**
   * Operations of a stream's chunk, 1 to 100,000: of the first one; the chunks of a stream that
   * does not say grow to ten times as many. @default 100
   */
  chunkSize: number;
  /** Whether a write that does not say is all or nothing. @default true */
  atomicByDefault: boolean;
  /** Whether progress is reported, and kept of batches that have ended. @default true */
  progressReporting: boolean;
  /** How often a failed embedding is tried again, 0 to 100. @default 3 */
  errorRetryAttempts: number;
  /** Milliseconds before the first of these; each further pause is twice as long. @default 100 */
  errorRetryDelayMs: number;
}

/** Some of the settings, above a preset. */
export type BatchOperationsOptions = {
  readonly [Key in keyof BatchOperations]?: BatchOperations[Key] | undefined;
} & {
  /** Where the other keys come from. */
  readonly preset?: Preset | undefined;
};

/** The keys on the wire. */
export const BATCH_OPERATIONS = names([
  'preset',
  'maxBatchSize',
  'maxMemoryUsageMb',
  'parallelWorkers',
  'chunkSize',
  'atomicByDefault',
  'progressReporting',
  'errorRetryAttempts',
  'errorRetryDelayMs',
]);

/** The settings of an open store, every key. */
export async function readSettings(door: Door): Promise<BatchOperations> {
  return camelDeep(await door.call('config', {})) as BatchOperations;
}

/** How embedders are tried again. */
export function retryRule(settings: BatchOperations): RetryRule {
  return { attempts: settings.errorRetryAttempts, delayMs: settings.errorRetryDelayMs };
}
