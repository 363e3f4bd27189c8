import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The command line was not understood: exit code 2. */
export class UsageError extends Error {}

/** An option of a command. */
export interface OptionSpec {
  /** What stands for its value in the help; absent for a switch. */
  readonly value?: string;
  /** One line for the help. */
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** Options that every command takes. */
export const COMMON_OPTIONS = {
  json: { help: 'print JSON for programs' },
  help: { help: 'print this help' },
} satisfies OptionSpecs;

/** The arguments of a command, each value checked when it is read. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;

  constructor(
    positionals: readonly string[],
    values: Readonly<Record<string, string | boolean | undefined>>,
  ) {
    this.positionals = positionals;
    this.#values = values;
  }

  /** Whether a switch is given. */
  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** A value that must be given. */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === '') throw new UsageError(`--${name} is needed`);
    return value;
  }

  /** A whole number from `least` to `most`. */
  count(name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) {
      const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
      throw new UsageError(`--${name} is ${value}; it is a whole number, ${range}`);
    }
    return number;
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (value.trim() === '' || !Number.isFinite(number)) {
      throw new UsageError(`--${name} is ${value}; it is a number`);
    }
    return number;
  }

  /** One of a few words. */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) {
      throw new UsageError(`--${name} is ${value}; it is one of ${words.join(', ')}`);
    }
    return word;
  }

  /** A JSON object. */
  jsonObject(name: string): Record<string, unknown> | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    let parsed: unknown;
    try {
      parsed = JSON.parse(value);
    } catch (error) {
      throw new UsageError(`--${name} is no JSON: ${(error as Error).message}`);
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw new UsageError(`--${name} is no JSON object`);
    }
    return parsed as Record<string, unknown>;
  }
}

/** Reads the arguments of a command; unknown and repeated options are refused. */
export function parseArguments(argv: readonly string[], specs: OptionSpecs): Arguments {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, { value }] of Object.entries(specs)) {
    options[name] = { type: value === undefined ? 'boolean' : 'string', multiple: true };
    if (name === 'help') options[name].short = 'h';
  }
  try {
    const parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
    return new Arguments(parsed.positionals, singleValues(parsed.values));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError((error as Error).message);
  }
}

type ParsedValue = string | boolean;

function singleValues(
  values: Readonly<Record<string, ParsedValue | readonly ParsedValue[] | undefined>>,
): Record<string, ParsedValue | undefined> {
  const single: Record<string, ParsedValue | undefined> = {};
  for (const [name, given] of Object.entries(values)) {
    const all = Array.isArray(given) ? (given as readonly ParsedValue[]) : [given as ParsedValue];
    if (all.length > 1) throw new UsageError(`--${name} is given ${all.length} times`);
    single[name] = all[0];
  }
  return single;
}
