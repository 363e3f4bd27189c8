import { Deadline } from '../deadline.js';
import { VolleyError } from '../errors.js';
import type { StreamRules } from './options.js';

/**
 * Calls `stop` when something outside a stream wants its end: the caller's signal, its deadline,
 * or a store that closes.
 *
 * @returns Ends the listening.
 */
export function listenOutside(
  { signal, deadlineMs }: Pick<StreamRules, 'signal' | 'deadlineMs'>,
  closing: AbortSignal,
  stop: (reason: unknown) => void,
): () => void {
  const cancel = () => stop(signal?.reason);
  const close = () => stop(new VolleyError('STORE_CLOSED', 'the store was closed'));
  const late = () => {
    const message = `the stream's deadline of ${deadlineMs} ms has passed`;
    const details = { deadlineMs };
    stop(new VolleyError('DEADLINE_EXCEEDED', message, { retriable: true, details }));
  };
  signal?.addEventListener('abort', cancel, { once: true });
  closing.addEventListener('abort', close, { once: true });
  const deadline = deadlineMs === undefined ? undefined : new Deadline(deadlineMs, late);
  if (signal?.aborted) cancel();
  return () => {
    signal?.removeEventListener('abort', cancel);
    closing.removeEventListener('abort', close);
    deadline?.end();
  };
}
