import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** Bytes of one call's messages that a client may send ahead of the server's reading. */
const CALL_WINDOW_BYTES = 4 * 1024 * 1024;
/** The same for all calls of one connection. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Lets clients send whole batches at once, from the next connection on. With the 64 KiB of HTTP/2
 * a batch takes a round trip for each of them, and each waits for both event loops.
 *
 * grpc-js has an option for this that only its clients read, so the server's own listeners are
 * looked up; where a version keeps them elsewhere, batches are as slow as without.
 */
export function widenWindows(server: Server): void {
  const listeners: unknown = Reflect.get(server, 'http2Servers');
  if (!(listeners instanceof Map)) return;
  for (const listener of listeners.keys() as Iterable<Http2Server>) {
    listener.on('session', (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: CALL_WINDOW_BYTES });
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    });
  }
}
