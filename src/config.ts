import { readFile } from 'node:fs/promises';
import type { Embedder } from './embedder.js';
import { VolleyError } from './errors.js';
import { type OpenAiEmbedderOptions, openAiEmbedder } from './http-embedder.js';
import { BATCH_OPERATIONS, type BatchOperationsOptions } from './settings.js';

/** What a configuration gives to `open`. */
export interface Configuration {
  /** How batches are treated. */
  batchOperations: BatchOperationsOptions;
  /** The embedders that collections may name. */
  embedders: Embedder[];
}

/** Where a configuration is read from. */
export interface ConfigurationSources {
  /** A YAML file; needs the package `yaml`. */
  file?: string | undefined;
  /** Variables `VOLLEY_...`; they stand above the file. Default: those of the process. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** The variable of a key: `chunkSize` -> `VOLLEY_CHUNK_SIZE`. */
function variableOf(wireName: string): string {
  return `VOLLEY_${wireName.toUpperCase()}`;
}

/**
 * Reads a configuration: the file's `batch_operations` and `embedders`, and above them the
 * environment. What is given in code stands above both: spread it over the result.
 *
 * @example
 * const { batchOperations, embedders } = await loadConfiguration({ file: 'volley.yaml' });
 * const store = await open('./data', { batchOperations, embedders });
 *
 * @throws VolleyError `INVALID_ARGUMENT` for a file that cannot be read or is no YAML, for unknown
 *   keys, and for values of the wrong kind; `UNSUPPORTED` where the package `yaml` is missing.
 */
export async function loadConfiguration(
  sources: ConfigurationSources = {},
): Promise<Configuration> {
  const { file, environment = process.env } = sources;
  const root = file === undefined ? {} : await readYaml(file);
  const where = file ?? 'the configuration';
  return {
    batchOperations: {
      ...batchOperations(where, object(where, 'batch_operations', root.batch_operations)),
      ...fromEnvironment(environment),
    },
    embedders: embedders(where, object(where, 'embedders', root.embedders)),
  };
}

async function readYaml(file: string): Promise<Fields> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw invalid(`${file}: ${(cause as Error).message}`, { field: 'file' }, cause);
  }
  const { parse } = await loadYaml();
  let root: unknown;
  try {
    root = parse(text);
  } catch (cause) {
    throw invalid(`${file} is no YAML: ${(cause as Error).message}`, { field: 'file' }, cause);
  }
  return object(file, 'the file', root);
}

async function loadYaml(): Promise<{ parse(text: string): unknown }> {
  try {
    return await import('yaml');
  } catch (cause) {
    const message = 'a configuration file needs the package yaml: npm install yaml';
    throw new VolleyError('UNSUPPORTED', message, { details: { package: 'yaml' }, cause });
  }
}

function batchOperations(where: string, keys: Fields): BatchOperationsOptions {
  const known = new Map([...BATCH_OPERATIONS].map(([name, wireName]) => [wireName, name]));
  const entries = Object.entries(keys).map(([key, value]) => {
    const name = known.get(key);
    if (name !== undefined) return [name, value ?? undefined];
    const list = [...known.keys()].join(', ');
    const message = `${where}: batch_operations has no key ${key}; it takes ${list}`;
    throw invalid(message, { field: `batch_operations.${key}` });
  });
  // The engine judges the values.
  return Object.fromEntries(entries) as BatchOperationsOptions;
}

function fromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): BatchOperationsOptions {
  const entries = [...BATCH_OPERATIONS].flatMap(([name, wireName]) => {
    const variable = variableOf(wireName as string);
    const text = environment[variable];
    return text === undefined || text === '' ? [] : [[name, settingOf(variable, name, text)]];
  });
  return Object.fromEntries(entries) as BatchOperationsOptions;
}

function settingOf(variable: string, name: string, text: string): unknown {
  if (name === 'preset') return text;
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^\d+$/.test(text)) return Number(text);
  const message = `${variable} is ${JSON.stringify(text)}, expected an integer, true or false`;
  throw invalid(message, { field: variable, actual: text });
}

/** The keys of an embedder in a file, and what they are in code. */
const EMBEDDER_KEYS = new Map<string, keyof OpenAiEmbedderOptions>([
  ['model', 'model'],
  ['dimension', 'dimension'],
  ['url', 'url'],
  ['api_key_variable', 'apiKeyVariable'],
  ['batch_size', 'batchSize'],
  ['timeout_ms', 'timeoutMs'],
  ['shorten', 'shorten'],
  ['version', 'version'],
]);

function embedders(where: string, byName: Fields): Embedder[] {
  return Object.entries(byName).map(([name, value]) => {
    const { kind, ...keys } = object(where, `embedders.${name}`, value);
    if (kind !== 'openai') {
      const message = `${where}: embedders.${name}.kind is ${JSON.stringify(kind)}, expected openai`;
      throw invalid(message, { field: `embedders.${name}.kind`, actual: kind });
    }
    const options = Object.entries(keys).map(([key, option]) => {
      const optionName = EMBEDDER_KEYS.get(key);
      if (optionName !== undefined) return [optionName, option];
      const list = ['kind', ...EMBEDDER_KEYS.keys()].join(', ');
      const message = `${where}: embedders.${name} has no key ${key}; it takes ${list}`;
      throw invalid(message, { field: `embedders.${name}.${key}` });
    });
    return openAiEmbedder({ ...Object.fromEntries(options), name } as OpenAiEmbedderOptions);
  });
}

function object(where: string, field: string, value: unknown): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Fields;
  throw invalid(`${where}: ${field} must hold keys and values`, { field });
}

function invalid(message: string, details: object, cause?: unknown): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', message, { details: { ...details }, cause });
}
