import type {
  CollectionOptions,
  DeleteOptions,
  DeleteResult,
  Filter,
  InsertOptions,
  InsertResult,
  InsertRow,
  ListOptions,
  MixedOptions,
  MixedResult,
  Operation,
  SearchOptions,
  SearchQuery,
  SearchResult,
  UpdateOptions,
  UpdateResult,
  UpdateRow,
  VectorRecord,
} from '../../src/index.js';

/**
 * One way into a store, as the suite uses it: the words of the TypeScript API, whatever the wire.
 *
 * A failed batch is a result, never an error; a refused request is an error with its `code`.
 */
export interface Surface {
  createCollection(name: string, options: CollectionOptions): Promise<void>;
  dropCollection(name: string): Promise<void>;
  collections(): Promise<string[]>;
  insert(name: string, rows: InsertRow[], options?: InsertOptions): Promise<InsertResult>;
  update(name: string, rows: UpdateRow[], options?: UpdateOptions): Promise<UpdateResult>;
  delete(name: string, ids: string[], options?: DeleteOptions): Promise<DeleteResult>;
  write(name: string, operations: Operation[], options?: MixedOptions): Promise<MixedResult>;
  search(name: string, queries: SearchQuery[], options?: SearchOptions): Promise<SearchResult>;
  get(
    name: string,
    ids: string[],
    include?: ListOptions['include'],
  ): Promise<(VectorRecord | null)[]>;
  list(name: string, options?: ListOptions): Promise<VectorRecord[]>;
  count(name: string, filters?: Filter): Promise<number>;
  close(): Promise<void>;
}

/** Opens a surface onto a store that is empty. */
export type OpenSurface = () => Promise<Surface>;
