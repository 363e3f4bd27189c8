#!/usr/bin/env node
import { run } from './run.js';
import { Terminal } from './terminal.js';

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const { stdout, stderr, env } = process;
process.exitCode = await run(process.argv.slice(2), new Terminal({ stdout, stderr, env }));
