import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, localhostAllowedHostnames } from '@modelcontextprotocol/server';
import type { RestHandler } from '../rest/handler.js';
import { problemOf } from '../rest/problem.js';
import { type Service, volleyError } from '../service.js';
import { mcpServer } from './server.js';

export interface McpHttpOptions {
  /** Address that the server listens on. */
  readonly host?: string | undefined;
  /** Origins whose pages may call, e.g. `https://example.org`. @default those of this machine */
  readonly cors?: readonly string[] | undefined;
}

/**
 * Streamable HTTP of MCP, for a server of one's own. A page that has its own name point here
 * (DNS rebinding) is turned away by its host and origin.
 */
export function mcpHandler(service: Service, options: McpHttpOptions): RestHandler {
  const maxRequestBodySize = service.requestBytesMax;
  const handler = createMcpHandler(() => mcpServer(service), { maxRequestBodySize });
  const answer = toNodeHandler(handler, { maxRequestBodySize });
  const { host, cors = [] } = options;
  const hosts = localhostAllowedHostnames();
  if (host !== undefined && !hosts.includes(host)) hosts.push(host);
  const checkHost = hostHeaderValidation(hosts);
  const origins = [...localhostAllowedHostnames(), ...cors.map((one) => new URL(one).hostname)];
  const checkOrigin = originValidation(origins);
  // With keys a server may have any name, and a page has no key.
  const isHostKnown = (request: IncomingMessage, response: ServerResponse) =>
    service.hasKeys || checkHost(request, response);
  return async (request, response) => {
    response.on('error', () => undefined);
    if (!isHostKnown(request, response) || !checkOrigin(request, response)) return;
    try {
      service.gate.identify(request.headers.authorization);
    } catch (failure) {
      const problem = problemOf(volleyError(failure), service.requestId(undefined));
      response.writeHead(problem.status, { ...problem.headers, connection: 'close' });
      response.end(problem.body);
      return;
    }
    await answer(request as never, response as never);
  };
}
