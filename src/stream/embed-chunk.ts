import { type EmbeddingParts, embedTexts } from '../embedder.js';
import type { Failure } from '../results.js';
import { RetriedError } from '../retry.js';
import { type Chunk, rowOf } from './chunker.js';

/** A chunk whose texts have their vectors, and the rows whose texts could not be embedded. */
export interface EmbeddedChunk {
  readonly input: Chunk['input'];
  readonly failures: ReadonlyMap<number, Failure>;
}

type Row = Readonly<Record<string, unknown>>;

/**
 * Embeds the texts of a chunk that have no vector. Chunks are embedded side by side and commit in
 * their order, which the engine could not keep if it had to ask for each.
 */
export async function embedChunk(
  chunk: Chunk,
  parts: EmbeddingParts,
  signal: AbortSignal,
): Promise<EmbeddedChunk> {
  const { input } = chunk;
  const rows: unknown[] =
    'ids' in input ? input.ids.map((_, index) => rowOf(input, index)) : [...input];
  const places = rows.flatMap((row, index) => (needsVector(row) ? [index] : []));
  if (places.length === 0 || parts.embedder === undefined) return { input, failures: new Map() };
  const texts = places.map((place) => (rows[place] as { text: string }).text);
  const failures = new Map<number, Failure>();
  try {
    const block = await embedTexts(parts, texts, signal);
    const { dimension } = parts.embedder;
    places.forEach((place, index) => {
      const data = block.subarray(index * dimension, (index + 1) * dimension);
      rows[place] = { ...(rows[place] as Row), data };
    });
  } catch (error) {
    for (const place of places) {
      failures.set(place, embeddingFailure(error));
      // Sent without a valid id it fails alone, and takes its group with it.
      rows[place] = { ...(rows[place] as Row), id: null };
    }
  }
  return { input: rows, failures };
}

function needsVector(row: unknown): boolean {
  if (typeof row !== 'object' || row === null) return false;
  const { data, text, op } = row as Row;
  return typeof text === 'string' && data === undefined && op !== 'delete';
}

function embeddingFailure(error: unknown): Failure {
  const reason = error instanceof Error ? error.message : String(error);
  const attempts = error instanceof RetriedError ? { attempts: error.attempts } : {};
  return {
    errorCode: 'EMBEDDING_FAILED',
    errorMessage: `the embedder failed: ${reason}`,
    retriable: true,
    ...attempts,
  };
}
