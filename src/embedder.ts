import { BlockBuilder, nameOf } from './block.js';
import { VolleyError } from './errors.js';
import type { Door, Reply } from './native/door.js';
import type { WireOptions } from './options.js';

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
   * Embeds a batch of texts. A vector must depend on its text alone. A rejection fails the
   * operations with these texts with `EMBEDDING_FAILED`; where that fails the batch, it is the
   * error's `cause`. The signal is aborted when the store closes.
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

/** Answers the engine's requests for embeddings until the reply to the call itself comes. */
export async function finishWithEmbeddings(
  door: Door,
  collection: string,
  embedder: Embedder | undefined,
  signal: AbortSignal,
  first: Reply,
): Promise<EmbeddedReply> {
  let reply = first;
  while (reply.embed !== undefined) {
    const { token, texts } = reply.embed as EmbedRequest;
    const resume = { collection, token };
    let block: Float32Array;
    try {
      block = await embedTexts(requireEmbedder(collection, embedder), texts, signal);
    } catch (embeddingFailure) {
      // The engine judges what is left of the batch without these texts.
      const failed = reasonOf(embeddingFailure);
      reply = await door.call('resume', { ...resume, failed });
      return { reply, embeddingFailure };
    }
    reply = await door.call('resume', resume, block);
  }
  return { reply };
}

/** Why an embedder failed, as text that JSON can hold. */
export function reasonOf(failure: unknown): string {
  return (failure instanceof Error ? failure.message : String(failure)).toWellFormed();
}

function requireEmbedder(collection: string, embedder: Embedder | undefined): Embedder {
  if (embedder !== undefined) return embedder;
  throw new Error(
    `the texts of collection ${collection} are embedded outside the engine: ` +
      'give the embedder to store.collection()',
  );
}

/** The vectors of texts, end to end. */
export async function embedTexts(
  embedder: Embedder,
  texts: string[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const { dimension } = embedder;
  return flatten(await embedder.embed(texts, { signal }), texts.length, dimension);
}

function flatten(embeddings: Embeddings, count: number, dimension: number): Float32Array {
  const builder = new BlockBuilder(count * dimension);
  const vectors = ArrayBuffer.isView(embeddings) ? [embeddings] : embeddings;
  if (!Array.isArray(vectors)) throw new Error(`the embedder returned ${nameOf(embeddings)}`);
  for (const vector of vectors) {
    const fault = builder.add(vector);
    if (fault !== undefined) throw new Error(`an embedding ${fault}`);
  }
  const { block = new Float32Array(), lengths } = builder.finish();
  const complete = block.length === count * dimension && lengths === undefined;
  if (complete && (vectors.length === count || vectors.length === 1)) return block;
  throw new Error(
    `the embedder returned ${vectors.length} vectors and ${block.length} numbers for ${count} ` +
      `texts of ${dimension} numbers each`,
  );
}
