import { BlockBuilder, nameOf } from './block.js';
import { VolleyError } from './errors.js';
import { type InterruptibleCall, unlessAborted } from './interrupt.js';
import type { Reply } from './native/door.js';
import type { WireOptions } from './options.js';
import { RetriedError, withRetries } from './retry.js';
import { type BatchOperations, retryRule } from './settings.js';

/** What tells one embedder from another. */
export interface EmbedderIdentity {
  /** Its name, e.g. that of its model. */
  name: string;
  /** Changes whenever the same text would get another vector. */
  version: string;
}

/** What an embedder may return: one vector per text, in order, or all of them end to end. */
export type Embeddings = Float32Array | readonly Float32Array[] | readonly (readonly number[])[];

/** Turns texts into vectors. Any object of this shape will do. */
export interface Embedder extends EmbedderIdentity {
  /** Numbers per vector, 1 to 8,192. */
  dimension: number;
  /**
   * Embeds a batch of texts. A vector must depend on its text alone. A rejection is tried again
   * (see `errorRetryAttempts`) unless its `retriable` is `false`, and then fails the operations
   * with these texts with `EMBEDDING_FAILED`; where that fails the batch, it is the error's
   * `cause`. The signal is aborted when the call is cancelled or the store closes.
   */
  embed(texts: string[], options: { signal: AbortSignal }): Promise<Embeddings>;
}

/** An embedder that the engine itself has. */
export type BuiltInEmbedder = 'lexical';

function invalid(message: string, details: Record<string, unknown>): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', message, { details });
}

/** Refuses what is no embedder. */
export function checkEmbedder(embedder: unknown): asserts embedder is Embedder {
  if (typeof embedder !== 'object' || embedder === null) {
    throw invalid(`embedder is ${nameOf(embedder)}, not an object`, { field: 'embedder' });
  }
  const { name, version, dimension, embed } = embedder as Partial<Record<keyof Embedder, unknown>>;
  for (const [field, value] of Object.entries({ name, version })) {
    if (typeof value === 'string' && value !== '' && value.isWellFormed()) continue;
    throw invalid(`embedder.${field} must be a string that is not empty`, {
      field: `embedder.${field}`,
    });
  }
  if (!Number.isSafeInteger(dimension) || (dimension as number) < 1) {
    throw invalid('embedder.dimension must be an integer from 1', { field: 'embedder.dimension' });
  }
  if (typeof embed !== 'function') {
    throw invalid('embedder.embed must be a function', { field: 'embedder.embed' });
  }
}

/** The embedders that a store was opened with, by name. */
export class EmbedderRegistry {
  readonly #embedders = new Map<string, Embedder>();

  /** @throws VolleyError `INVALID_ARGUMENT` for what is no embedder, and for a name twice. */
  constructor(embedders: readonly Embedder[]) {
    if (!Array.isArray(embedders)) {
      throw invalid('embedders must be an array', { field: 'embedders' });
    }
    for (const embedder of embedders) {
      checkEmbedder(embedder);
      const { name } = embedder;
      if (name === 'lexical' || this.#embedders.has(name)) {
        throw invalid(`embedders has the name ${name} twice, or it is a built-in one's`, {
          field: 'embedders',
          actual: name,
        });
      }
      this.#embedders.set(name, embedder);
    }
  }

  /**
   * The embedder that an option means: itself, or the one of that name.
   *
   * @throws VolleyError `INVALID_ARGUMENT` for a name that is not known.
   */
  resolve(embedder: string | Embedder | undefined): BuiltInEmbedder | Embedder | undefined {
    if (typeof embedder !== 'string' || embedder === 'lexical') return embedder as BuiltInEmbedder;
    const found = this.#embedders.get(embedder);
    if (found !== undefined) return found;
    const known = ['lexical', ...this.#embedders.keys()].join(', ');
    throw invalid(`embedder is ${JSON.stringify(embedder)}, known are ${known}`, {
      field: 'embedder',
      actual: embedder,
    });
  }

  /** The embedder of a collection, where it is among these. */
  find(kept: EmbedderIdentity | null): Embedder | undefined {
    const found = kept === null ? undefined : this.#embedders.get(kept.name);
    return found?.version === kept?.version ? found : undefined;
  }
}

/** What a new collection keeps of its embedder. */
export function embedderHeader(
  embedder: BuiltInEmbedder | Embedder | undefined,
  dimension: number | undefined,
): WireOptions {
  if (embedder === undefined) return {};
  if (typeof embedder === 'string') return { embedder };
  checkEmbedder(embedder);
  if (dimension !== undefined && dimension !== embedder.dimension) {
    throw invalid(
      `dimension is ${dimension}, but the embedder's vectors have ${embedder.dimension} numbers`,
      { field: 'dimension', actual: dimension, expected: embedder.dimension },
    );
  }
  const { name, version } = embedder;
  return { dimension: embedder.dimension, embedder: { name, version } };
}

/** Refuses an embedder that is not the one whose vectors the collection holds. */
export function matchEmbedder(
  collection: string,
  kept: EmbedderIdentity | null,
  embedder: Embedder | undefined,
): void {
  if (embedder === undefined) return;
  checkEmbedder(embedder);
  if (kept?.name === embedder.name && kept.version === embedder.version) return;
  const expected = kept === null ? 'none' : `${kept.name} ${kept.version}`;
  throw invalid(
    `collection ${collection}: the embedder is ${embedder.name} ${embedder.version}, ` +
      `the collection keeps ${expected}`,
    {
      field: 'embedder',
      expected: kept && { name: kept.name, version: kept.version },
      actual: { name: embedder.name, version: embedder.version },
    },
  );
}

/** What the engine asks where a call has texts and the embedder is not built in. */
interface EmbedRequest {
  token: unknown;
  texts: string[];
}

/** The reply to a call, and why its texts could not be embedded, where that was so. */
export interface EmbeddedReply {
  reply: Reply;
  embeddingFailure?: unknown;
}

/** What embedding needs of a collection's handle. */
export interface EmbeddingParts {
  readonly name: string;
  readonly embedder: Embedder | undefined;
  readonly settings: BatchOperations;
}

/** Answers the engine's requests for embeddings until the reply to the call itself comes. */
export async function finishWithEmbeddings(
  parts: EmbeddingParts,
  call: InterruptibleCall,
  first: Reply,
): Promise<EmbeddedReply> {
  let reply = first;
  while (reply.embed !== undefined) {
    const { token, texts } = reply.embed as EmbedRequest;
    const resume = { collection: parts.name, token };
    let block: Float32Array;
    try {
      block = await embedTexts(parts, texts, call.signal);
    } catch (embeddingFailure) {
      // The engine must know that the caller has ended the batch before it goes on with it.
      if (call.isInterrupted) await call.stop();
      // The engine judges what is left of the batch without these texts.
      const failed = reasonOf(embeddingFailure);
      const { attempts } = embeddingFailure as { attempts?: number };
      reply = await call.resume({ ...resume, failed, attempts });
      const cause = embeddingFailure instanceof RetriedError ? embeddingFailure.cause : undefined;
      return { reply, embeddingFailure: cause ?? embeddingFailure };
    }
    reply = await call.resume(resume, block);
  }
  return { reply };
}

/** Why an embedder failed, as text that JSON can hold. */
export function reasonOf(failure: unknown): string {
  return (failure instanceof Error ? failure.message : String(failure)).toWellFormed();
}

/**
 * The vectors of some texts, end to end, after as many tries as the settings allow.
 *
 * @throws RetriedError
 */
export async function embedTexts(
  { name, embedder, settings }: EmbeddingParts,
  texts: string[],
  signal: AbortSignal,
): Promise<Float32Array> {
  if (embedder === undefined) {
    throw new Error(
      `the texts of collection ${name} are embedded outside the engine: ` +
        'give the embedder to store.collection()',
    );
  }
  const { dimension } = embedder;
  return withRetries(retryRule(settings), signal, async () => {
    const embedding = Promise.resolve(embedder.embed(texts, { signal }));
    return flatten(await unlessAborted(signal, embedding), texts.length, dimension);
  });
}

/** What an embedder answers wrongly, it would answer wrongly again. */
function malformed(message: string): VolleyError {
  return new VolleyError('EMBEDDING_FAILED', message, { retriable: false });
}

function flatten(embeddings: Embeddings, count: number, dimension: number): Float32Array {
  const builder = new BlockBuilder(count * dimension);
  const vectors = ArrayBuffer.isView(embeddings) ? [embeddings] : embeddings;
  if (!Array.isArray(vectors)) throw malformed(`the embedder returned ${nameOf(embeddings)}`);
  for (const vector of vectors) {
    const fault = builder.add(vector);
    if (fault !== undefined) throw malformed(`an embedding ${fault}`);
  }
  const { block = new Float32Array(), lengths } = builder.finish();
  const complete = block.length === count * dimension && lengths === undefined;
  if (complete && (vectors.length === count || vectors.length === 1)) return block;
  throw malformed(
    `the embedder returned ${vectors.length} vectors and ${block.length} numbers for ${count} ` +
      `texts of ${dimension} numbers each`,
  );
}
