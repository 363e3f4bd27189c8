import type { ErrorCode } from '../errors.js';

/** Status codes of gRPC, by name. */
export const GRPC = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** What a code is over HTTP and over gRPC. MCP has one way to say it: a result that is an error. */
export interface Status {
  readonly http: number;
  readonly grpc: number;
}

/** The one table from codes to the surfaces' own. */
export const STATUS: Readonly<Record<ErrorCode, Status>> = {
  INVALID_ID: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  INVALID_VECTOR: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  DIMENSION_MISMATCH: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  INVALID_METADATA: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  INVALID_QUERY: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  INVALID_FILTER: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  INVALID_ARGUMENT: { http: 400, grpc: GRPC.INVALID_ARGUMENT },
  ALREADY_EXISTS: { http: 409, grpc: GRPC.ALREADY_EXISTS },
  NOT_FOUND: { http: 404, grpc: GRPC.NOT_FOUND },
  DUPLICATE_ID: { http: 409, grpc: GRPC.INVALID_ARGUMENT },
  CONDITION_FAILED: { http: 412, grpc: GRPC.FAILED_PRECONDITION },
  BATCH_ABORTED: { http: 409, grpc: GRPC.ABORTED },
  IDEMPOTENCY_MISMATCH: { http: 422, grpc: GRPC.INVALID_ARGUMENT },
  IDEMPOTENCY_IN_FLIGHT: { http: 409, grpc: GRPC.ABORTED },
  COLLECTION_NOT_FOUND: { http: 404, grpc: GRPC.NOT_FOUND },
  COLLECTION_EXISTS: { http: 409, grpc: GRPC.ALREADY_EXISTS },
  BATCH_TOO_LARGE: { http: 413, grpc: GRPC.INVALID_ARGUMENT },
  MEMORY_LIMIT_EXCEEDED: { http: 413, grpc: GRPC.RESOURCE_EXHAUSTED },
  OVERLOADED: { http: 429, grpc: GRPC.RESOURCE_EXHAUSTED },
  EMBEDDING_FAILED: { http: 502, grpc: GRPC.UNAVAILABLE },
  CANCELLED: { http: 499, grpc: GRPC.CANCELLED },
  DEADLINE_EXCEEDED: { http: 504, grpc: GRPC.DEADLINE_EXCEEDED },
  UNAUTHENTICATED: { http: 401, grpc: GRPC.UNAUTHENTICATED },
  PERMISSION_DENIED: { http: 403, grpc: GRPC.PERMISSION_DENIED },
  STORE_LOCKED: { http: 503, grpc: GRPC.UNAVAILABLE },
  STORE_POISONED: { http: 503, grpc: GRPC.FAILED_PRECONDITION },
  STORE_CLOSED: { http: 503, grpc: GRPC.UNAVAILABLE },
  CORRUPTED: { http: 500, grpc: GRPC.DATA_LOSS },
  UNSUPPORTED: { http: 501, grpc: GRPC.UNIMPLEMENTED },
  INTERNAL: { http: 500, grpc: GRPC.INTERNAL },
};
