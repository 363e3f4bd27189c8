import { VolleyError } from '../errors.js';

/** What gRPC needs. */
export const GRPC_PACKAGES = [
  '@grpc/grpc-js',
  '@grpc/proto-loader',
  '@grpc/reflection',
  'grpc-health-check',
];
/** What MCP needs. */
export const MCP_PACKAGES = ['@modelcontextprotocol/server', '@modelcontextprotocol/node'];

/**
 * Loads what needs packages that an installation may do without.
 *
 * @throws VolleyError `UNSUPPORTED` where one is missing, with the command that installs them all.
 */
export async function loadOptional<Module>(
  surface: string,
  packages: readonly string[],
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    const install = `npm install ${packages.join(' ')}`;
    throw new VolleyError('UNSUPPORTED', `${surface} needs packages that are missing: ${install}`, {
      details: { packages },
      cause,
    });
  }
}
