import { type ErrorCode, VolleyError } from './errors.js';
import type { Door } from './native/door.js';

/** What the engine says of a batch that cannot be stopped any more. */
const GONE: readonly ErrorCode[] = ['NOT_FOUND', 'STORE_CLOSED'];

/** Stops a batch before its commit; one that has committed or is gone stays as it is. */
export async function cancelBatch(
  door: Door,
  batchId: string,
  reason: 'cancelled' | 'deadline' = 'cancelled',
): Promise<void> {
  try {
    await door.call('batches.cancel', { batch_id: batchId, reason });
  } catch (error) {
    if (!(error instanceof VolleyError && GONE.includes(error.code))) throw error;
  }
}
