import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const PROTO = fileURLToPath(new URL('../../proto/volley.proto', import.meta.url));
const SERVICE = 'volley.v1.VectorStore';

/** A status of google.rpc, as far as Volley uses it. */
const RPC = protobuf.parse(
  `syntax = "proto3"; package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }`,
  { keepCase: true },
).root;

/** A call that the server refused. */
export class GrpcError extends Error {
  readonly status: number;
  /** Volley's code. */
  readonly code: string;
  readonly details: Record<string, string>;
  readonly retryMs: number | undefined;

  constructor(status: number, message: string, bytes: Buffer) {
    super(message);
    this.status = status;
    const rpcStatus = decode(RPC.lookupType('google.rpc.Status'), bytes);
    const find = (name: string) => {
      const any = rpcStatus.details?.find((one: Message) => one.type_url.endsWith(`.${name}`));
      return any && decode(RPC.lookupType(`google.rpc.${name}`), any.value);
    };
    const info = find('ErrorInfo');
    this.code = info?.reason ?? '';
    this.details = info?.metadata ?? {};
    const delay = find('RetryInfo')?.retry_delay;
    this.retryMs = delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: messages of every type.
type Message = any;

function decode(type: protobuf.Type, bytes: Uint8Array): Message {
  return type.toObject(type.decode(bytes), { longs: Number, defaults: true });
}

/** A gRPC client made from the `.proto` alone, with neither gRPC library of the server. */
export class GrpcClient {
  readonly #session: ClientHttp2Session;
  readonly #service: protobuf.Service;
  readonly #headers: Record<string, string>;

  private constructor(
    session: ClientHttp2Session,
    service: protobuf.Service,
    headers: Record<string, string>,
  ) {
    this.#session = session;
    this.#service = service;
    this.#headers = headers;
  }

  static async connect(address: string, headers: Record<string, string> = {}) {
    const root = await new protobuf.Root().load(PROTO, { keepCase: true });
    const session = connect(`http://${address}`, { settings: { initialWindowSize: 2 ** 24 } });
    session.on('error', () => undefined);
    return new GrpcClient(session, root.lookupService(SERVICE), headers);
  }

  /** One request, one reply. */
  async call(name: string, request: object): Promise<Message> {
    const stream = this.open(name);
    stream.end(this.encode(name, request));
    const replies: Message[] = [];
    for await (const reply of this.replies(name, stream)) replies.push(reply);
    return replies[0];
  }

  /** Opens a call; messages are written to it with {@link encode}. */
  open(name: string): ClientHttp2Stream {
    return this.openPath(`/${SERVICE}/${name}`);
  }

  /** Opens a call of any service. */
  openPath(path: string): ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...this.#headers,
    });
  }

  encode(name: string, request: object): Buffer {
    const method = this.#service.methods[name];
    const type = this.#service.root.lookupType(`volley.v1.${method?.requestType}`);
    return frame(Buffer.from(type.encode(type.fromObject(request)).finish()));
  }

  /** The replies of a call as they come; throws its status where that is an error. */
  async *replies(name: string, stream: ClientHttp2Stream): AsyncGenerator<Message> {
    const method = this.#service.methods[name];
    const type = this.#service.root.lookupType(`volley.v1.${method?.responseType}`);
    const trailers = new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.on('trailers', resolve);
      stream.on('response', (head) => {
        if (head['grpc-status'] !== undefined) resolve(head);
      });
      stream.on('error', reject);
      stream.on('close', () => reject(new Error('the call ended without a status')));
    });
    trailers.catch(() => undefined);
    let rest = Buffer.alloc(0);
    for await (const piece of stream) {
      rest = Buffer.concat([rest, piece]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        yield decode(type, rest.subarray(5, end));
        rest = rest.subarray(end);
      }
    }
    const ending = await trailers;
    const status = Number(ending['grpc-status']);
    if (status === 0) return;
    const details = Buffer.from(String(ending['grpc-status-details-bin'] ?? ''), 'base64');
    throw new GrpcError(status, decodeURIComponent(String(ending['grpc-message'])), details);
  }

  async close(): Promise<void> {
    this.#session.close();
    this.#session.destroy();
    if (!this.#session.closed) await once(this.#session, 'close');
  }
}

/** A message in the frame that gRPC puts around it. */
export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A JSON object as `google.protobuf.Struct`. */
export function toStruct(value: object): object {
  const fields = Object.entries(value).map(([name, inner]) => [name, toValue(inner)]);
  return { fields: Object.fromEntries(fields) };
}

function toValue(value: unknown): object {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  return { structValue: toStruct(value as object) };
}

/** The JSON object of a `google.protobuf.Struct`. */
export function fromStruct(struct: Message): Record<string, unknown> {
  const fields = Object.entries(struct?.fields ?? {});
  return Object.fromEntries(fields.map(([name, value]) => [name, fromValue(value)]));
}

function fromValue(value: Message): unknown {
  if (value.structValue !== undefined) return fromStruct(value.structValue);
  if (value.listValue !== undefined) return (value.listValue.values ?? []).map(fromValue);
  return value.numberValue ?? value.stringValue ?? value.boolValue ?? null;
}
