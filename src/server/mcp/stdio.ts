import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { Service } from '../service.js';
import { mcpServer } from './server.js';

/** Serves MCP over this process's standard input and output, until the input ends. */
export async function mcpOverStdio(service: Service): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    process.stdin.once('end', resolve);
    process.stdin.once('close', resolve);
  });
  const handle = serveStdio(() => mcpServer(service));
  await ended;
  await service.close();
  await handle.close();
}
