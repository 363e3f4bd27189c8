/** One request, as the log has it: neither bodies nor keys. */
export interface RequestLog {
  readonly time: string;
  readonly surface: 'rest' | 'grpc' | 'mcp';
  readonly request_id: string;
  /** `POST /api/v1/...`, the name of a gRPC method, or of a tool. */
  readonly request: string;
  readonly caller: string | null;
  /** The code of the refusal, or `OK`. */
  readonly code: string;
  readonly status: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly duration_ms: number;
}

/** Where request logs go. */
export type LogRequest = (entry: RequestLog) => void;

/** Writes each entry as one line of JSON. */
export function logTo(stream: { write(text: string): unknown }): LogRequest {
  return (entry) => stream.write(`${JSON.stringify(entry)}\n`);
}
