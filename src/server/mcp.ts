import type { Store } from '../store.js';
import { loadOptional, MCP_PACKAGES } from './optional-package.js';
import { Service, type ServiceOptions } from './service.js';

/**
 * Serves a store over MCP on this process's standard input and output, until the input ends.
 *
 * @throws VolleyError `UNSUPPORTED` where the packages of MCP are missing, naming them.
 */
export async function mcpOverStdio(store: Store, options: ServiceOptions = {}): Promise<void> {
  const stdio = await loadOptional('MCP', MCP_PACKAGES, () => import('./mcp/stdio.js'));
  await stdio.mcpOverStdio(new Service(store, options));
}
