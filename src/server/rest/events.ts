import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exchange, Service } from '../service.js';

/** Milliseconds between two looks at a batch. */
const INTERVAL_MS = 200;

/**
 * Tells how far a batch is as server-sent events: `progress` whenever it has moved on, the newest
 * only, and `end` once. An event's id is the count of those before it; a reader that comes back
 * with `Last-Event-ID` counts on from there.
 */
export async function followBatch(
  service: Service,
  { pass }: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
  batchId: string,
): Promise<{ code: string; bytesIn: number; bytesOut: number }> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const given = Number(request.headers['last-event-id'] ?? 0);
  let id = Number.isSafeInteger(given) && given > 0 ? given : 0;
  let bytesOut = 0;
  let last = '';
  while (!gone.signal.aborted) {
    const progress = await service.progress(pass, batchId);
    if (!response.headersSent) {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
      });
    }
    const hasEnded = progress.status !== 'running';
    const text = JSON.stringify(progress);
    // A reader that is behind misses what came between, never the newest or the end.
    if (hasEnded || (text !== last && !response.writableNeedDrain)) {
      id += 1;
      const event = `id: ${id}\nevent: ${hasEnded ? 'end' : 'progress'}\ndata: ${text}\n\n`;
      bytesOut += Buffer.byteLength(event);
      response.write(event);
      last = text;
    }
    if (hasEnded) break;
    await delay(INTERVAL_MS, undefined, { signal: gone.signal }).catch(() => undefined);
  }
  response.end();
  return { code: 'OK', bytesIn: 0, bytesOut };
}
