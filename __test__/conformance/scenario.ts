import test, { type ExecutionContext } from 'ava';
import type { CollectionOptions, JsonObject, OperationError, Outcome } from '../../src/index.js';
import type { OpenSurface, Surface } from './surface.js';

/** The collection of a scenario. */
export const NAME = 'things';

/** Served calls are bounded by count; the suite's largest has 2,500 operations. */
export const LARGE_BATCHES = { batchOperations: { maxBatchSize: 10_000 } } as const;

/** One test on a surface of its own with one empty collection, of dimension 2 unless told. */
export function scenario(
  open: OpenSurface,
  title: string,
  body: (t: ExecutionContext, surface: Surface) => Promise<void>,
  options: CollectionOptions = { dimension: 2 },
): void {
  test(title, async (t) => {
    const surface = await open();
    t.teardown(() => surface.close());
    await surface.createCollection(NAME, options);
    await body(t, surface);
  });
}

/** A row with a vector that any metric takes. */
export function row(id: string, metadata: JsonObject = {}) {
  return { id, data: [1, 2], metadata };
}

/** The codes of failed operations, by index. */
export function codes(errors: readonly OperationError[]): [number, string][] {
  return errors.map(({ index, errorCode }) => [index, errorCode]);
}

/** The statuses of all outcomes. */
export function statuses(outcomes: readonly Outcome[] | undefined): string[] {
  return (outcomes ?? []).map(({ status }) => status);
}
