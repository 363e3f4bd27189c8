import { createRequire } from 'node:module';
import { type CallToolResult, Server, type ServerContext } from '@modelcontextprotocol/server';
import { VolleyError } from '../../errors.js';
import { type Service, volleyError } from '../service.js';
import { FollowedCall } from './followed-call.js';
import { readable } from './readable.js';
import { TOOLS, type Tool } from './tools.js';

const INSTRUCTIONS =
  'Volley keeps vectors, texts and metadata in collections. Send many records or queries in one ' +
  'call instead of calling one by one. list_collections tells what there is.';

/**
 * An MCP server of a store, to be connected to any transport: `await server.connect(transport)`.
 * Each connection needs one of its own.
 */
export function mcpServer(service: Service): Server {
  const server = new Server(
    { name: 'volley', version: packageVersion() },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  server.setRequestHandler('tools/list', () => ({ tools: TOOLS.map(described) }) as never);
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const tool = TOOLS.find(({ name }) => name === params.name);
    if (tool === undefined) {
      return failed(new VolleyError('UNSUPPORTED', `there is no tool ${params.name}`));
    }
    return await callTool(service, tool, params.arguments ?? {}, context);
  });
  return server;
}

function described({ name, title, description, inputSchema, outputSchema, ...tool }: Tool) {
  const { readOnly, destructive } = tool;
  const annotations = {
    readOnlyHint: readOnly,
    destructiveHint: destructive,
    openWorldHint: false,
  };
  return { name, title, description, inputSchema, outputSchema, annotations };
}

async function callTool(
  service: Service,
  tool: Tool,
  given: Record<string, unknown>,
  context: ServerContext,
): Promise<CallToolResult> {
  const { verb, scope, name } = tool;
  const collection = typeof given.collection === 'string' ? given.collection : undefined;
  try {
    const exchange = service.enter({
      surface: 'mcp',
      request: name,
      route: name,
      authorization: context.http?.req?.headers.get('authorization') ?? undefined,
      scope,
      collection,
    });
    const outcome = { code: 'INTERNAL', bytesIn: 0, bytesOut: 0 };
    try {
      const body = bodyOf(tool, given);
      outcome.bytesIn = body.length;
      exchange.pass.take(body.length);
      // Up to here nothing was done, and a caller who has left wants nothing done.
      if (context.mcpReq.signal.aborted)
        throw new VolleyError('CANCELLED', 'the call was cancelled');
      const followed = new FollowedCall(service, exchange.pass, context, countOf(tool, given));
      const reply = await followed.run(({ batchId, signal }) =>
        service.engine.send({
          verb,
          beside: {},
          format: 'json',
          body,
          collection,
          context: { ...service.context(exchange.pass), batchId },
          signal,
        }),
      );
      outcome.bytesOut = reply.length;
      const result = succeeded(tool, given, JSON.parse(Buffer.from(reply).toString('utf8')));
      outcome.code = result.isError === true ? 'BATCH_ABORTED' : 'OK';
      return result;
    } catch (failure) {
      outcome.code = volleyError(failure).code;
      throw failure;
    } finally {
      exchange.end(outcome.code, 0, outcome.bytesIn, outcome.bytesOut);
    }
  } catch (failure) {
    return failed(volleyError(failure));
  }
}

/** The engine's body: the arguments above the defaults that the tool tells of. */
function bodyOf({ body, defaults }: Tool, given: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify({ ...defaults, ...(body?.(given) ?? given) }));
}

function countOf({ list }: Tool, given: Record<string, unknown>): number {
  const elements = list === undefined ? undefined : given[list];
  return Array.isArray(elements) ? elements.length : 1;
}

/** A batch that failed as a whole, because it is atomic, is an error to the model, with its list. */
function succeeded(
  { defaults }: Tool,
  given: Record<string, unknown>,
  reply: Record<string, unknown>,
): CallToolResult {
  const atomic = given.atomic ?? defaults?.atomic;
  const structuredContent = readable(reply);
  return {
    content: [{ type: 'text', text: JSON.stringify(structuredContent) }],
    structuredContent,
    isError: atomic === true && reply.status === 'failed',
  };
}

function failed({ code, message, retriable, details }: VolleyError): CallToolResult {
  const error = { ...details, error_code: code, error_message: message, retriable };
  return { content: [{ type: 'text', text: JSON.stringify({ error }) }], isError: true };
}

function packageVersion(): string {
  const require = createRequire(import.meta.url);
  return (require('../../../package.json') as { version: string }).version;
}
