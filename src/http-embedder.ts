import type { Embedder } from './embedder.js';
import { VolleyError } from './errors.js';

/** Options of {@link openAiEmbedder}. */
export interface OpenAiEmbedderOptions {
  /** The model's name, as the server knows it. */
  model: string;
  /** Numbers per vector that the model gives. */
  dimension: number;
  /** Where the API begins. @default 'https://api.openai.com/v1' */
  url?: string | undefined;
  /** The key; sent as a bearer token. Default: the environment variable `apiKeyVariable`. */
  apiKey?: string | undefined;
  /** The environment variable that holds the key. @default 'OPENAI_API_KEY' */
  apiKeyVariable?: string | undefined;
  /** Texts of one request, 1 to 2,048. @default 64 */
  batchSize?: number | undefined;
  /** Milliseconds that one request may take. @default 60000 */
  timeoutMs?: number | undefined;
  /** Asks the model for vectors of `dimension` numbers, where it can shorten them. */
  shorten?: boolean | undefined;
  /** The embedder's name in the collection. Default: the model's. */
  name?: string | undefined;
  /** Change it whenever the same text gets another vector. @default '1' */
  version?: string | undefined;
}

/** Statuses that may pass: too many requests, and faults of the server or on the way. */
const RETRIABLE = new Set([408, 409, 425, 429, 500, 502, 503, 504]);
/** Characters of a server's answer that an error repeats. */
const CLIP_CHARACTERS = 200;

/**
 * An embedder behind any HTTP endpoint that speaks OpenAI's embeddings API: Ollama, vLLM,
 * text-embeddings-inference and the hosted ones.
 *
 * @example
 * const embedder = openAiEmbedder({
 *   url: 'http://localhost:11434/v1', model: 'all-minilm', dimension: 384,
 * });
 */
export function openAiEmbedder(options: OpenAiEmbedderOptions): Embedder {
  const { model, dimension, url = 'https://api.openai.com/v1' } = options;
  if (typeof model !== 'string' || model === '') throw invalid('model', 'a string');
  if (!Number.isSafeInteger(dimension) || dimension < 1) throw invalid('dimension', 'an integer');
  if (!URL.canParse(url)) throw invalid('url', 'a URL');
  const batchSize = options.batchSize ?? 64;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1 || batchSize > 2048) {
    throw invalid('batchSize', 'an integer from 1 to 2048');
  }
  const endpoint = `${url.replace(/\/+$/, '')}/embeddings`;
  return {
    name: options.name ?? model,
    version: options.version ?? '1',
    dimension,
    async embed(texts, { signal }) {
      const block = new Float32Array(texts.length * dimension);
      for (let from = 0; from < texts.length; from += batchSize) {
        const input = texts.slice(from, from + batchSize);
        const vectors = await request(endpoint, input, options, signal);
        for (const [index, vector] of vectors.entries()) {
          block.set(vector, (from + index) * dimension);
        }
      }
      return block;
    },
  };
}

async function request(
  endpoint: string,
  input: string[],
  options: OpenAiEmbedderOptions,
  signal: AbortSignal,
): Promise<number[][]> {
  const { model, dimension, shorten, timeoutMs = 60_000 } = options;
  const key = options.apiKey ?? process.env[options.apiKeyVariable ?? 'OPENAI_API_KEY'];
  const body = {
    model,
    input,
    encoding_format: 'float',
    ...(shorten && { dimensions: dimension }),
  };
  const headers = {
    'content-type': 'application/json',
    ...(key && { authorization: `Bearer ${key}` }),
  };
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(endpoint, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, timeout]),
    });
    text = await response.text();
  } catch (cause) {
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(cause);
    throw failed(`${endpoint}: ${reason}`, { retriable: !signal.aborted, cause });
  }
  if (!response.ok) throw statusError(endpoint, response, text);
  return vectorsOf(endpoint, text, input.length, dimension);
}

function statusError(endpoint: string, response: Response, text: string): VolleyError {
  const { status } = response;
  const retryAfter = Number(response.headers.get('retry-after'));
  const retryAfterMs = retryAfter > 0 ? { retryAfterMs: retryAfter * 1000 } : {};
  return failed(`${endpoint} answered ${status}: ${text.slice(0, CLIP_CHARACTERS)}`, {
    retriable: RETRIABLE.has(status),
    details: { status, ...retryAfterMs },
  });
}

function vectorsOf(endpoint: string, text: string, count: number, dimension: number): number[][] {
  let data: { index?: number; embedding?: number[] }[] | undefined;
  try {
    data = (JSON.parse(text) as { data?: typeof data }).data;
  } catch (cause) {
    throw failed(`${endpoint} answered no JSON`, { retriable: true, cause });
  }
  const vectors: number[][] = [];
  // Answers carry the place of their text; the order is not promised.
  if (Array.isArray(data)) {
    data.forEach(({ index, embedding }, place) => {
      if (Array.isArray(embedding)) vectors[index ?? place] = embedding;
    });
  }
  const isWhole =
    vectors.length === count && Array.from(vectors).every((vector) => vector?.length === dimension);
  if (isWhole) return vectors;
  const found = `${vectors.length} vectors of ${vectors[0]?.length ?? 0} numbers`;
  throw failed(`${endpoint} answered ${found}, expected ${count} of ${dimension}`, {
    retriable: false,
  });
}

function failed(
  message: string,
  options: { retriable: boolean; details?: Record<string, unknown>; cause?: unknown },
): VolleyError {
  return new VolleyError('EMBEDDING_FAILED', message, options);
}

function reasonOf(cause: unknown): string {
  const { message, cause: inner } = cause as Error;
  return inner instanceof Error ? `${message}: ${inner.message}` : message;
}

function invalid(field: string, expected: string): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', `openAiEmbedder: ${field} must be ${expected}`, {
    details: { field },
  });
}
