import type { Scope } from '../keys.js';

/** What one method of one path does. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Its path; `{name}` stands for one segment. */
  readonly path: string;
  /** The engine's verb. */
  readonly verb: string;
  /** What the caller's key must have; absent = any key will do. */
  readonly scope?: Scope;
  /** Where its fields come from. */
  readonly input: 'body' | 'query';
  /** What the collection's list in the body is called, where lines of it may come as a stream. */
  readonly stream?: 'vectors' | 'updates' | 'operations';
  /** Whether the reply goes on until the batch has ended, as server-sent events. */
  readonly isFollowed?: true;
  /** What the reply is called in the OpenAPI document, and its status if all goes well. */
  readonly reply: string;
  readonly status?: number;
  readonly summary: string;
}

const COLLECTION = '/api/v1/collections/{collection}';

/** The calls that reach the engine. */
export const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: `${COLLECTION}/vectors/batch`,
    verb: 'insert',
    scope: 'write',
    input: 'body',
    stream: 'vectors',
    reply: 'InsertReply',
    summary: 'Insert records',
  },
  {
    method: 'PUT',
    path: `${COLLECTION}/vectors/batch`,
    verb: 'update',
    scope: 'write',
    input: 'body',
    stream: 'updates',
    reply: 'UpdateReply',
    summary: 'Update records',
  },
  {
    method: 'DELETE',
    path: `${COLLECTION}/vectors/batch`,
    verb: 'delete',
    scope: 'write',
    input: 'body',
    reply: 'DeleteReply',
    summary: 'Delete records',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/vectors/batch/delete`,
    verb: 'delete',
    scope: 'write',
    input: 'body',
    reply: 'DeleteReply',
    summary: 'Delete records, for clients that send no body with DELETE',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/batch`,
    verb: 'write',
    scope: 'write',
    input: 'body',
    stream: 'operations',
    reply: 'MixedReply',
    summary: 'Run operations of several kinds as if in list order',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/search/batch`,
    verb: 'search',
    scope: 'read',
    input: 'body',
    reply: 'SearchReply',
    summary: 'Find the records nearest to each query',
  },
  {
    method: 'GET',
    path: `${COLLECTION}/vectors`,
    verb: 'list',
    scope: 'read',
    input: 'query',
    reply: 'ListReply',
    summary: 'Read records page by page',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/vectors/list`,
    verb: 'list',
    scope: 'read',
    input: 'body',
    reply: 'ListReply',
    summary: 'Read the records that pass a filter, page by page',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/vectors/count`,
    verb: 'count',
    scope: 'read',
    input: 'body',
    reply: 'CountReply',
    summary: 'Count the records, or those that pass a filter',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/vectors/get`,
    verb: 'get',
    scope: 'read',
    input: 'body',
    reply: 'GetReply',
    summary: 'Read many records by id',
  },
  {
    method: 'GET',
    path: `${COLLECTION}/vectors/{id}`,
    verb: 'get',
    scope: 'read',
    input: 'query',
    reply: 'Record',
    summary: 'Read one record',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/indexed`,
    verb: 'indexed',
    scope: 'read',
    input: 'query',
    reply: 'IndexedReply',
    summary: 'Wait until all that is applied now is in the graph',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/compact`,
    verb: 'compact',
    scope: 'admin',
    input: 'query',
    reply: 'CompactReply',
    summary: 'Rewrite the live records of mostly dead log files',
  },
  {
    method: 'POST',
    path: `${COLLECTION}/streams/offset`,
    verb: 'stream.offset',
    scope: 'write',
    input: 'body',
    reply: 'OffsetReply',
    summary: 'Tell how many operations of a stream are committed',
  },
  {
    method: 'GET',
    path: '/api/v1/batches/{batch_id}',
    verb: 'batches.get',
    input: 'query',
    reply: 'BatchProgress',
    summary: 'Tell how far a batch of the caller is',
  },
  {
    method: 'GET',
    path: '/api/v1/batches/{batch_id}/events',
    verb: 'batches.get',
    input: 'query',
    isFollowed: true,
    reply: 'BatchProgress',
    summary: 'Follow a batch of the caller: server-sent events, progress and end',
  },
  {
    method: 'DELETE',
    path: '/api/v1/batches/{batch_id}',
    verb: 'batches.cancel',
    input: 'query',
    reply: 'BatchProgress',
    summary: 'Stop a batch of the caller, unless it is committed',
  },
  {
    method: 'POST',
    path: '/api/v1/collections',
    verb: 'collections.create',
    scope: 'admin',
    input: 'body',
    reply: 'CollectionInfo',
    status: 201,
    summary: 'Make a collection',
  },
  {
    method: 'GET',
    path: '/api/v1/collections',
    verb: 'collections.list',
    scope: 'read',
    input: 'query',
    reply: 'CollectionList',
    summary: 'Describe every collection',
  },
  {
    method: 'GET',
    path: COLLECTION,
    verb: 'collections.info',
    scope: 'read',
    input: 'query',
    reply: 'CollectionInfo',
    summary: 'Describe one collection',
  },
  {
    method: 'DELETE',
    path: COLLECTION,
    verb: 'collections.drop',
    scope: 'admin',
    input: 'query',
    reply: 'Empty',
    summary: 'Remove a collection with all its records, for good',
  },
];

/** A route that a path and a method lead to. */
export interface Found {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

const SPLIT = ROUTES.map((route) => ({ route, segments: route.path.split('/') }));

/**
 * Finds the route of a path.
 *
 * @returns The route, or the methods that the path has.
 * @throws URIError Where a segment's percent-encoding is broken.
 */
export function findRoute(method: string, path: string): Found | readonly string[] {
  const given = path.split('/');
  const matching = SPLIT.filter(({ segments }) => matches(segments, given));
  // A path with fewer open segments is the one that was meant: `batch` is no id.
  matching.sort((one, other) => openCount(one.segments) - openCount(other.segments));
  const found = matching.find(({ route }) => route.method === method);
  if (found === undefined) return [...new Set(matching.map(({ route }) => route.method))];
  const parameters = Object.fromEntries(
    found.segments.flatMap((segment, index) =>
      isOpen(segment)
        ? [[segment.slice(1, -1), decodeURIComponent(given[index] ?? '')] as const]
        : [],
    ),
  );
  return { route: found.route, parameters };
}

function matches(segments: readonly string[], given: readonly string[]): boolean {
  return (
    segments.length === given.length &&
    segments.every((segment, index) =>
      isOpen(segment) ? given[index] !== '' : segment === given[index],
    )
  );
}

function isOpen(segment: string): boolean {
  return segment.startsWith('{');
}

function openCount(segments: readonly string[]): number {
  return segments.filter(isOpen).length;
}
