import type { Arguments, OptionSpecs } from './arguments.js';
import type { Terminal } from './terminal.js';

/** All of the work was done. */
export const EXIT_OK = 0;
/** Some or all of the work failed. */
export const EXIT_FAILED = 1;
/** The command line was not understood; nothing was done. */
export const EXIT_USAGE = 2;

/** One command of the program. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands for its positional arguments in the help. */
  readonly positionals: string;
  /** Its own options; those that every command takes come in addition. */
  readonly options: OptionSpecs;
  /** Lines of a shell that use it. */
  readonly examples: readonly string[];
  /** Further lines for the help. */
  readonly notes?: readonly string[];
  /** Does the work; returns the exit code. */
  run(args: Arguments, terminal: Terminal): Promise<number>;
}
