import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type {
  Metadata,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { VolleyError } from '../../errors.js';
import type { Scope } from '../keys.js';
import { type Service, volleyError } from '../service.js';
import { grpcStatus } from './status.js';
import { countField, integerField, textField } from './wire.js';

/** The file that describes the service; clients are made from it. */
export const PROTO_PATH = fileURLToPath(new URL('../../../proto/volley.proto', import.meta.url));

const SERVICE_NAME = 'volley.v1.VectorStore';

interface Method {
  readonly verb: string;
  readonly scope: Scope;
  /** Whether it concerns no single collection that exists. */
  readonly isGlobal?: boolean;
}

const METHODS: Readonly<Record<string, Method>> = {
  BatchInsertVectors: { verb: 'insert', scope: 'write' },
  BatchUpdateVectors: { verb: 'update', scope: 'write' },
  BatchDeleteVectors: { verb: 'delete', scope: 'write' },
  BatchSearchVectors: { verb: 'search', scope: 'read' },
  BatchWriteVectors: { verb: 'write', scope: 'write' },
  StreamWrites: { verb: 'write', scope: 'write' },
  StreamSearches: { verb: 'search', scope: 'read' },
  GetVectors: { verb: 'get', scope: 'read' },
  ListVectors: { verb: 'list', scope: 'read' },
  CountVectors: { verb: 'count', scope: 'read' },
  CreateCollection: { verb: 'collections.create', scope: 'admin', isGlobal: true },
  ListCollections: { verb: 'collections.list', scope: 'read', isGlobal: true },
  GetCollection: { verb: 'collections.info', scope: 'read' },
  DropCollection: { verb: 'collections.drop', scope: 'admin' },
};

/** Numbers of fields that the carrier looks at or adds; see the `.proto`. */
const COLLECTION = 1;
const OPERATIONS = 2;
const OFFSET = 40;
const CREDIT_BYTES = 41;

/** Bytes of a stream's requests that wait for their replies, at most (and one request more). */
const STREAM_WINDOW_BYTES = 16 * 1024 * 1024;

type Unary = ServerUnaryCall<Buffer, Buffer>;
type Stream = ServerDuplexStream<Buffer, Buffer>;

/** A gRPC service whose messages stay bytes, for a gRPC server of one's own. */
export interface GrpcService {
  /** For `server.addService(definition, implementation)`. */
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** All messages and services of the file, e.g. for reflection. */
  readonly packageDefinition: PackageDefinition;
  /** Ends the streams that are open. */
  endStreams(): void;
}

/** The gRPC service of a store. */
export function grpcService(service: Service, newMetadata: () => Metadata): GrpcService {
  const packageDefinition = loadSync(PROTO_PATH, { keepCase: true });
  const described = packageDefinition[SERVICE_NAME] as unknown as ServiceDefinition;
  const streams = new Set<Stream>();
  const definition: Record<string, unknown> = {};
  const implementation: UntypedServiceImplementation = {};
  const same = (bytes: Buffer) => bytes;
  for (const [name, method] of Object.entries(METHODS)) {
    definition[name] = {
      ...described[name],
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    const run = { name, method, service, newMetadata };
    implementation[name] = name.startsWith('Stream')
      ? (call: Stream) => answerStream(run, call, streams)
      : (call: Unary, callback: sendUnaryData<Buffer>) => answerUnary(run, call, callback);
  }
  return {
    definition: definition as ServiceDefinition,
    implementation,
    packageDefinition,
    endStreams: () => {
      for (const stream of streams) stream.end();
    },
  };
}

interface Run {
  readonly name: string;
  readonly method: Method;
  readonly service: Service;
  readonly newMetadata: () => Metadata;
}

/** What a call says beside its messages. */
interface Incoming {
  readonly metadata: Metadata;
  getDeadline(): Date | number;
}

function incomingOf(call: Unary | Stream): Incoming {
  return { metadata: call.metadata, getDeadline: () => call.getDeadline() };
}

async function answerUnary(run: Run, call: Unary, callback: sendUnaryData<Buffer>): Promise<void> {
  const left = new AbortController();
  call.on('cancelled', () => left.abort());
  try {
    callback(null, await answer(run, incomingOf(call), call.request, left.signal));
  } catch (failure) {
    callback(grpcStatus(volleyError(failure), run.newMetadata()));
  }
}

/** Hands one message on; the signal stops what it began. */
async function answer(
  run: Run,
  incoming: Incoming,
  body: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  const { metadata } = incoming;
  const { name, method, service } = run;
  const collection = method.isGlobal === true ? undefined : (textField(body, COLLECTION) ?? '');
  const exchange = service.enter({
    surface: 'grpc',
    request: name,
    route: name,
    requestId: first(metadata, 'x-request-id'),
    authorization: first(metadata, 'authorization'),
    scope: method.scope,
    collection,
  });
  const isStream = name.startsWith('Stream');
  let code = 'INTERNAL';
  let bytesOut = 0;
  try {
    // Memory is the engine's to give, before it parses the message: a call that is no stream is
    // refused where there is none, a part of a stream waits.
    if (isStream) await exchange.pass.takeInTurn(body.length);
    else exchange.pass.take(body.length);
    const key = first(metadata, 'idempotency-key');
    if (isStream && key !== undefined) throw keyOfStream();
    const beside = key === undefined ? {} : { idempotency_key: key };
    const { verb } = method;
    const shared = isStream ? service.streamContext(exchange.pass) : service.context(exchange.pass);
    const context = { ...shared, ...deadlineOf(incoming), batchId: randomUUID() };
    const reply = await service.engine.send({
      verb,
      beside,
      format: 'protobuf',
      body,
      collection,
      context,
      signal,
    });
    code = 'OK';
    bytesOut = reply.length;
    return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength);
  } catch (failure) {
    code = volleyError(failure).code;
    throw failure;
  } finally {
    exchange.end(code, 0, body.length, bytesOut);
  }
}

/**
 * Answers a stream's messages one after another, so that what was done when it breaks is a
 * beginning of it. Where the client leaves, the message in work is stopped as a call is: its batch
 * may have committed, and nobody is told. It reads on while fewer bytes than the window wait, and writes no faster than the
 * client reads.
 */
function answerStream(run: Run, call: Stream, streams: Set<Stream>): void {
  streams.add(call);
  let waiting = 0;
  let operations = 0;
  let hasFailed = false;
  let last = Promise.resolve();
  const left = new AbortController();
  const handle = async (body: Buffer) => {
    if (hasFailed || call.cancelled) return;
    const reply = await answer(run, incomingOf(call), body, left.signal);
    const pieces = [reply];
    waiting -= body.length;
    if (run.method.verb === 'write') {
      const credit = Math.max(STREAM_WINDOW_BYTES - waiting, 0);
      pieces.push(integerField(OFFSET, operations), integerField(CREDIT_BYTES, credit));
      operations += countField(body, OPERATIONS);
    }
    if (!call.write(Buffer.concat(pieces))) await drained(call);
    if (waiting < STREAM_WINDOW_BYTES) call.resume();
  };
  call.on('data', (body: Buffer) => {
    waiting += body.length;
    if (waiting >= STREAM_WINDOW_BYTES) call.pause();
    last = last
      .then(() => handle(body))
      .catch((failure) => {
        if (hasFailed) return;
        hasFailed = true;
        call.emit('error', grpcStatus(volleyError(failure), run.newMetadata()));
        call.resume();
      });
  });
  call.on('end', () => {
    void last.then(() => {
      if (!hasFailed) call.end();
    });
  });
  call.on('error', () => undefined);
  call.on('close', () => streams.delete(call));
  call.on('cancelled', () => {
    streams.delete(call);
    left.abort();
  });
}

/** A key names one batch, and the metadata of a stream belongs to all of its batches. */
function keyOfStream(): VolleyError {
  const message = 'a stream takes no `idempotency-key`: its messages have the field';
  return new VolleyError('INVALID_ARGUMENT', message, { details: { field: 'idempotency_key' } });
}

/** Resolves when the client has read on, or is gone. */
function drained(call: Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done);
      call.off('cancelled', done);
      resolve();
    };
    call.on('drain', done);
    call.on('cancelled', done);
    if (call.cancelled) done();
  });
}

/** The deadline that gRPC carries with every call. */
function deadlineOf({ getDeadline }: Incoming): { deadlineMs?: number } {
  const leftMs = Number(getDeadline()) - Date.now();
  return Number.isFinite(leftMs) ? { deadlineMs: Math.max(leftMs, 1) } : {};
}

function first(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return value === undefined ? undefined : String(value);
}
