/**
 * The MCP server of a store, to be connected to any transport or mounted on a server of one's own.
 *
 * @packageDocumentation
 */
export { type McpHttpOptions, mcpHandler } from './http.js';
export { mcpServer } from './server.js';
