import { readFile } from 'node:fs/promises';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { VolleyError } from '../errors.js';
import type { Store } from '../store.js';
import { GRPC_PACKAGES, loadOptional, MCP_PACKAGES } from './optional-package.js';
import { restHandler } from './rest/handler.js';
import { LOOPBACK_NAMES } from './rest/origin.js';
import { checkInteger, Service, type ServiceOptions } from './service.js';

/** What {@link serve} opens. A port of 0 is any free one. */
export interface ServeOptions extends ServiceOptions {
  /** Port of REST, and of MCP under `/mcp`. Absent = no REST. */
  readonly rest?: number | undefined;
  /** Port of gRPC. Absent = no gRPC; it needs the package `@grpc/grpc-js`. */
  readonly grpc?: number | undefined;
  /** Whether REST's port serves MCP under `/mcp`; it needs `@modelcontextprotocol/server`. */
  readonly mcp?: boolean | undefined;
  /** Origins whose pages may call, e.g. `https://example.org`. @default none */
  readonly cors?: readonly string[] | undefined;
  /** Address to listen on. Any but a loopback address needs `keys`. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /**
   * Milliseconds for the head of a request to arrive over REST and MCP; a connection that is
   * slower is answered with 408 and cut off. @default 20,000
   */
  readonly headArrivalMs?: number | undefined;
  /** Files in PEM form: certificate chain and private key. Absent = no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

/** A server that runs. */
export interface Served {
  /** Base URL of REST. */
  readonly rest?: string;
  /** URL of MCP. */
  readonly mcp?: string;
  /** `host:port` of gRPC. */
  readonly grpc?: string;
  /** Takes in nothing new, ends what runs, and stops. The store stays open. */
  close(): Promise<void>;
}

const LOOPBACK_ADDRESS = '127.0.0.1';
const LOOPBACK = [LOOPBACK_ADDRESS, '::1', 'localhost'];

/** Milliseconds for a connection without a request to stay. */
const IDLE_MS = 65_000;

const HEAD_ARRIVAL_MS = 20_000;

/** Milliseconds between two looks at connections whose head has not arrived, at most. */
const LOOK_MS_MAX = 5000;

/**
 * Serves an open store over REST, gRPC and MCP.
 *
 * @throws VolleyError `INVALID_ARGUMENT` for an address other than loopback without keys, and for
 *   a port that is taken; `UNSUPPORTED` where a package is missing, naming it.
 */
export async function serve(store: Store, options: ServeOptions): Promise<Served> {
  const { host = LOOPBACK_ADDRESS, tls: tlsFiles } = options;
  const service = new Service(store, options);
  requireKeysBeyondLoopback(host, service.hasKeys);
  const tls = tlsFiles && {
    cert: await readFile(tlsFiles.cert),
    key: await readFile(tlsFiles.key),
  };
  const scheme = tls === undefined ? 'http' : 'https';
  const closers: (() => Promise<void>)[] = [];
  const urls: { rest?: string; mcp?: string; grpc?: string } = {};
  try {
    if (options.rest !== undefined) {
      const http = await httpServer(service, options, tls);
      closers.push(() => stopHttp(http));
      urls.rest = `${scheme}://${await listen(http, host, options.rest)}`;
      if (options.mcp === true) urls.mcp = `${urls.rest}/mcp`;
    }
    if (options.grpc !== undefined) {
      const { startGrpc } = await loadOptional(
        'gRPC',
        GRPC_PACKAGES,
        () => import('./grpc/server.js'),
      );
      const grpc = await startGrpc(service, host, options.grpc, tls);
      closers.push(grpc.close);
      urls.grpc = grpc.address;
    }
  } catch (failure) {
    await Promise.all(closers.map((close) => close()));
    throw failure;
  }
  return {
    ...urls,
    close: async () => {
      await service.close();
      await Promise.all(closers.map((close) => close()));
    },
  };
}

function requireKeysBeyondLoopback(host: string, hasKeys: boolean): void {
  if (LOOPBACK.includes(host) || hasKeys) return;
  throw new VolleyError('INVALID_ARGUMENT', `to listen on ${host}, API keys are needed`, {
    details: { field: 'host', actual: host },
  });
}

async function httpServer(
  service: Service,
  options: ServeOptions,
  tls: { cert: Buffer; key: Buffer } | undefined,
): Promise<Server> {
  const { host = LOOPBACK_ADDRESS, cors } = options;
  const name = host.includes(':') ? `[${host}]` : host;
  const rest = restHandler(service, { hosts: [...LOOPBACK_NAMES, name], cors });
  let handler = rest;
  if (options.mcp === true) {
    const { mcpHandler } = await loadOptional('MCP', MCP_PACKAGES, () => import('./mcp/http.js'));
    const mcp = mcpHandler(service, options);
    handler = (request, response) =>
      /^\/mcp(\?|$)/.test(request.url ?? '') ? mcp(request, response) : rest(request, response);
  }
  const headArrivalMs = checkInteger('headArrivalMs', options.headArrivalMs ?? HEAD_ARRIVAL_MS, 1);
  const limits = {
    keepAliveTimeout: IDLE_MS,
    headersTimeout: headArrivalMs,
    connectionsCheckingInterval: Math.min(headArrivalMs, LOOK_MS_MAX),
    // Bodies of lines may take any time; whoever reads a body is patient for so long as it says.
    requestTimeout: 0,
  };
  const server =
    tls === undefined ? createHttp(limits, handler) : createHttps({ ...limits, ...tls }, handler);
  // What is no HTTP at all: answered once, and cut off.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const status = isLate ? '408 Request Timeout' : '400 Bad Request';
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
    else socket.destroy();
  });
  return server;
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `${host} port ${port} cannot be used: ${cause.message}`;
      reject(new VolleyError('INVALID_ARGUMENT', message, { details: { field: 'port' }, cause }));
    });
    server.listen(port, host, resolve);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  return family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}`;
}

async function stopHttp(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    // Nothing runs any more: what is left are connections that wait for a request.
    server.closeAllConnections();
  });
}
