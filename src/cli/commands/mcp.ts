import { loadConfiguration } from '../../index.js';
import { mcpOverStdio } from '../../server/index.js';
import type { Arguments } from '../arguments.js';
import { type Command, EXIT_OK } from '../command.js';
import { withStore } from '../store-access.js';

/** `volley mcp`: a store as an MCP server that a client starts. */
export const mcpCommand: Command = {
  name: 'mcp',
  summary: 'serve a store over MCP on standard input and output',
  positionals: '',
  options: {
    data: { value: 'folder', help: 'folder of the store; made where it does not exist' },
    config: { value: 'file', help: 'YAML file: batch_operations, embedders; needs yaml' },
  },
  examples: ['volley mcp --data ./data', 'volley mcp --data ./data --config volley.yaml'],
  notes: [
    'For the configuration of an MCP client:',
    '{"mcpServers": {"volley": {"command": "volley", "args": ["mcp", "--data", "./data"]}}}',
  ],
  run: runMcp,
};

async function runMcp(args: Arguments): Promise<number> {
  const data = args.required('data');
  const configuration = await loadConfiguration({ file: args.text('config') });
  return await withStore(data, configuration, async (store) => {
    await mcpOverStdio(store);
    return EXIT_OK;
  });
}
