import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { run } from '../../../src/cli/run.js';
import { memoryTerminal } from './memory-terminal.js';

export interface CommandOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process. */
export async function runCli(...argv: readonly string[]): Promise<CommandOutput> {
  const { terminal, stdout, stderr } = memoryTerminal();
  const code = await run(argv, terminal);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Starts one command line in a process of its own. */
export function spawnCli(argv: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
  return spawn(process.execPath, ['--import=tsx', main, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
}
