/**
 * Volley: a batch-first vector store for Node.js.
 *
 * @packageDocumentation
 */
export type { Collection } from './collection.js';
export { type Configuration, type ConfigurationSources, loadConfiguration } from './config.js';
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
export { type OpenAiEmbedderOptions, openAiEmbedder } from './http-embedder.js';
export type { InterruptOptions } from './interrupt.js';
export type { BatchProgress, Progress } from './progress.js';
export type * from './results.js';
export type { BatchOperations, BatchOperationsOptions, Preset } from './settings.js';
export { open, type Store, version } from './store.js';
export { failureLine, itemOfLine } from './stream/failure-line.js';
export type {
  DeleteStreamOptions,
  InsertStreamOptions,
  Source,
  StreamDuplicatesOption,
  UpdateStreamOptions,
  WriteStreamOptions,
} from './stream/options.js';
export type * from './stream/results.js';
export type { SearchStreamOptions, StreamQueryResult } from './stream/search-stream.js';
export { StreamError } from './stream/stream-error.js';
export type * from './types.js';
