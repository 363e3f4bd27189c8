/**
 * Volley: a batch-first vector store for Node.js.
 *
 * @packageDocumentation
 */
export type { Collection } from './collection.js';
export type { BuiltInEmbedder, Embedder, EmbedderIdentity, Embeddings } from './embedder.js';
export {
  BatchError,
  type BatchResult,
  ERROR_CODES,
  type ErrorCode,
  VolleyError,
  type VolleyErrorOptions,
} from './errors.js';
export type { Condition, FieldConditions, Filter, FilterValue } from './filter.js';
export type * from './results.js';
export { open, type Store, version } from './store.js';
export type * from './types.js';
