import { once } from 'node:events';
import { loadConfiguration } from '../../index.js';
import { logTo, readKeys, type Served, serve } from '../../server/index.js';
import { type Arguments, UsageError } from '../arguments.js';
import { type Command, EXIT_OK } from '../command.js';
import { Interrupt } from '../interrupt.js';
import { withStore } from '../store-access.js';
import type { Terminal } from '../terminal.js';

const REST_PORT = 15001;
const PORT_MAX = 65535;

/** `volley serve`: a store over REST, gRPC and MCP. */
export const serveCommand: Command = {
  name: 'serve',
  summary: 'serve a store over REST, gRPC and MCP',
  positionals: '',
  options: {
    data: { value: 'folder', help: 'folder of the store; made where it does not exist' },
    rest: { value: 'port', help: `port of REST; default: ${REST_PORT} where none is named` },
    grpc: { value: 'port', help: 'port of gRPC; needs @grpc/grpc-js' },
    mcp: { help: "MCP under /mcp of REST's port; needs @modelcontextprotocol/server" },
    config: { value: 'file', help: 'YAML file: batch_operations, embedders; needs yaml' },
    host: { value: 'address', help: 'address to listen on; default: 127.0.0.1' },
    'api-keys': { value: 'file', help: 'JSON file of keys; needed beyond loopback' },
    'tls-cert': { value: 'file', help: 'certificate chain (PEM)' },
    'tls-key': { value: 'file', help: 'private key (PEM)' },
    cors: { value: 'origins', help: 'origins whose pages may call, with commas between' },
    quiet: { help: 'log no requests' },
  },
  examples: [
    'volley serve --data ./data',
    'volley serve --data ./data --rest 15001 --grpc 15003 --mcp --api-keys keys.json',
  ],
  notes: [
    'A key is kept as its SHA-256: {"keys": [{"name": "me", "sha256": "...", "scopes": ["read",',
    '"write"]}]}; scopes are read, write and admin, "collections" names those it is for.',
    'The keys of batch_operations come from --config and, above it, from variables such as',
    'VOLLEY_MAX_BATCH_SIZE and VOLLEY_PRESET.',
    'Requests are logged to standard error, one line of JSON each.',
  ],
  run: runServe,
};

async function runServe(args: Arguments, terminal: Terminal): Promise<number> {
  const data = args.required('data');
  const rest = args.count('rest', 0, PORT_MAX);
  const grpc = args.count('grpc', 0, PORT_MAX);
  const mcp = args.has('mcp');
  const keyFile = args.text('api-keys');
  const keys = keyFile === undefined ? undefined : await readKeys(keyFile);
  const options = {
    rest: rest ?? (grpc === undefined || mcp ? REST_PORT : undefined),
    grpc,
    mcp,
    host: args.text('host'),
    keys,
    tls: tlsOf(args),
    cors: args.text('cors')?.split(','),
    log: args.has('quiet')
      ? undefined
      : logTo({ write: (line) => terminal.notice(line.trimEnd()) }),
  };
  const configuration = await loadConfiguration({ file: args.text('config') });
  return await withStore(data, configuration, async (store) => {
    const interrupt = new Interrupt(terminal);
    try {
      const server = await serve(store, options);
      announce(server, args, terminal);
      if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort');
      await server.close();
    } finally {
      interrupt.dispose();
    }
    return EXIT_OK;
  });
}

function tlsOf(args: Arguments): { cert: string; key: string } | undefined {
  const cert = args.text('tls-cert');
  const key = args.text('tls-key');
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new UsageError('--tls-cert and --tls-key are given together');
}

function announce({ rest, grpc, mcp }: Served, args: Arguments, terminal: Terminal): void {
  if (args.has('json')) {
    terminal.printJson({ rest, grpc, mcp });
    return;
  }
  for (const [name, url] of Object.entries({ rest, grpc, mcp })) {
    if (url !== undefined) terminal.print(`${name}  ${url}`);
  }
}
