import { COMMON_OPTIONS, type OptionSpecs } from './arguments.js';
import type { Command } from './command.js';

const INTRODUCTION = 'Volley: a batch-first vector store.';

/** The help of the program. */
export function programHelp(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }): [string, string] => [name, summary]);
  return [
    INTRODUCTION,
    '',
    'Usage: volley <command> [options]',
    '',
    'Commands:',
    ...columns(rows),
    '',
    'Options:',
    ...columns([
      ['--help', 'print this help; after a command, that of the command'],
      ['--version', 'print the version'],
    ]),
    '',
    'Example:',
    ...(commands[0]?.examples.slice(0, 1) ?? []).map((line) => `  ${line}`),
    '',
    'Exit codes: 0 all done, 1 some or all of the work failed, 2 bad command line.',
  ].join('\n');
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const specs: OptionSpecs = { ...command.options, ...COMMON_OPTIONS };
  const rows = Object.entries(specs).map(([name, { value, help }]): [string, string] => [
    value === undefined ? `--${name}` : `--${name} <${value}>`,
    help,
  ]);
  const usage = ['volley', command.name, command.positionals, '[options]'];
  return [
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    '',
    `Usage: ${usage.filter((word) => word !== '').join(' ')}`,
    '',
    'Options:',
    ...columns(rows),
    ...(command.notes === undefined ? [] : ['', ...command.notes]),
    '',
    command.examples.length === 1 ? 'Example:' : 'Examples:',
    ...command.examples.map((line) => `  ${line}`),
  ].join('\n');
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, help]) => `  ${name.padEnd(width)}  ${help}`);
}
