import { createRequire } from 'node:module';
import { VolleyError } from '../index.js';
import { type Arguments, COMMON_OPTIONS, parseArguments, UsageError } from './arguments.js';
import { type Command, EXIT_FAILED, EXIT_OK, EXIT_USAGE } from './command.js';
import { demoCommand } from './commands/demo.js';
import { exportCommand } from './commands/export.js';
import { importCommand } from './commands/import.js';
import { inspectCommand } from './commands/inspect.js';
import { mcpCommand } from './commands/mcp.js';
import { searchCommand } from './commands/search.js';
import { serveCommand } from './commands/serve.js';
import { commandHelp, programHelp } from './help.js';
import { failureOf } from './load.js';
import type { Terminal } from './terminal.js';

const COMMANDS: readonly Command[] = [
  importCommand,
  searchCommand,
  inspectCommand,
  exportCommand,
  serveCommand,
  mcpCommand,
  demoCommand,
];

/** Runs one command line; returns the exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--version') {
    terminal.print(packageVersion());
    return EXIT_OK;
  }
  if (name === '--help' || name === '-h') {
    terminal.print(programHelp(COMMANDS));
    return EXIT_OK;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const problem = name === undefined ? 'no command is given' : `${name} is no command`;
    terminal.notice(`volley: ${problem}`, '', programHelp(COMMANDS));
    return EXIT_USAGE;
  }
  return await runCommand(command, rest, terminal);
}

/** Read from the package, so that it is told even where the native part is missing. */
function packageVersion(): string {
  const require = createRequire(import.meta.url);
  return (require('../../package.json') as { version: string }).version;
}

async function runCommand(
  command: Command,
  argv: readonly string[],
  terminal: Terminal,
): Promise<number> {
  let args: Arguments | undefined;
  try {
    args = parseArguments(argv, { ...command.options, ...COMMON_OPTIONS });
    if (args.has('help')) {
      terminal.print(commandHelp(command));
      return EXIT_OK;
    }
    if (command.positionals === '' && args.positionals.length > 0) {
      throw new UsageError(`${args.positionals[0]} is not expected; there are options only`);
    }
    return await command.run(args, terminal);
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.notice(`volley ${command.name}: ${error.message}`);
      terminal.notice(`Try: volley ${command.name} --help`);
      return EXIT_USAGE;
    }
    if (args?.has('json') === true) terminal.printJson({ error: describe(error) });
    else terminal.notice(`volley ${command.name}: ${describe(error).errorMessage}`);
    return EXIT_FAILED;
  }
}

/** An error as a program reads it; one that is not Volley's own has no code. */
function describe(error: unknown): { errorMessage: string } {
  if (error instanceof VolleyError) {
    const failure = failureOf(error);
    return { ...failure, errorMessage: `${error.code}: ${error.message}` };
  }
  return { errorMessage: error instanceof Error ? error.message : String(error) };
}
