/**
 * Volley behind REST, gRPC and MCP: `serve` for all of them, or the pieces, for a program that has
 * a server already.
 *
 * @packageDocumentation
 */
export type { Caller, Scope } from './keys.js';
export { type ApiKey, readKeys } from './keys.js';
export { type LogRequest, logTo, type RequestLog } from './log.js';
export { mcpOverStdio } from './mcp.js';
export { type RestHandler, type RestOptions, restHandler } from './rest/handler.js';
export { openApi } from './rest/openapi.js';
export { type Served, type ServeOptions, serve } from './serve.js';
export { Service, type ServiceOptions } from './service.js';
