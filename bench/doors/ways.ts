import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { type ChannelCredentials, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import type { Collection } from '../../src/index.js';
import { PROTO_PATH } from '../../src/server/grpc/service.js';

/** Digits that a float32 has. */
const DIGITS = 8;

/** Records of a batch: ids, and their vectors end to end. */
export interface Rows {
  readonly ids: readonly string[];
  readonly data: Float32Array;
}

/** One way into a served collection. */
export interface Way {
  /**
   * Lays a batch out as a program has it that uses this way.
   *
   * @returns Encodes and inserts all of it, or throws.
   */
  prepare(rows: Rows): () => Promise<void>;
  /** The id of the nearest record for each query. */
  search(queries: Float32Array): Promise<(string | undefined)[]>;
  close(): void;
}

/** Each vector of a block. */
export function vectorsOf(data: Float32Array, dimension: number): Float32Array[] {
  const count = data.length / dimension;
  return Array.from({ length: count }, (_, n) => data.subarray(n * dimension, (n + 1) * dimension));
}

/** The client: one block of float32 on the wire. */
export function overFloat32(collection: Collection): Way {
  return {
    prepare: ({ ids, data }) => {
      const rows = { ids: [...ids], data };
      return async () => {
        await collection.insert(rows);
      };
    },
    search: async (queries) => {
      const { batchResults } = await collection.search({ queryVectors: queries });
      return batchResults.map(({ results }) => results[0]?.id);
    },
    close: () => undefined,
  };
}

/** JSON bodies, written by `JSON.stringify` from arrays of numbers. */
export function overJson(url: string, name: string, dimension: number): Way {
  const agent = new Agent({ keepAlive: true });
  // `fetch` copies a body twice more than this.
  const send = async (path: string, content: object) => {
    const body = Buffer.from(JSON.stringify(content));
    const sent = request(`${url}/api/v1/collections/${name}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': body.length },
      agent,
    }).end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const reply = await text(response);
    if (response.statusCode !== 200) throw new Error(reply.slice(0, 500));
    return JSON.parse(reply);
  };
  return {
    prepare: ({ ids, data }) => {
      const lists = vectorsOf(data, dimension).map(listOf);
      const vectors = lists.map((data, n) => ({ id: ids[n], data }));
      return async () => {
        await send('vectors/batch', { vectors });
      };
    },
    search: async (queries) => {
      const vectors = vectorsOf(queries, dimension);
      const body = { queries: vectors.map((vector) => ({ query_vector: listOf(vector) })) };
      const { batch_results } = (await send('search/batch', body)) as {
        batch_results: { results: { id: string }[] }[];
      };
      return batch_results.map(({ results }) => results[0]?.id);
    },
    close: () => agent.destroy(),
  };
}

/** A vector as programs have it that read it from an embedding service's JSON. */
function listOf(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(DIGITS)));
}

type Unary = (request: Buffer, done: (error: Error | null, reply: Buffer) => void) => void;

/** gRPC; requests are made without a library, so that the client does not set the pace. */
export function overGrpc(address: string, name: string, dimension: number): Way {
  const service = loadSync(PROTO_PATH, { keepCase: true })[
    'volley.v1.VectorStore'
  ] as unknown as ServiceDefinition;
  const same = (bytes: Buffer) => bytes;
  const methods = Object.entries(service).map(([method, definition]) => [
    method,
    { ...definition, requestSerialize: same, responseDeserialize: same },
  ]);
  const Client = makeGenericClientConstructor(Object.fromEntries(methods), 'VectorStore');
  const insecure: ChannelCredentials = credentials.createInsecure();
  const client = new Client(address, insecure, { 'grpc-node.flow_control_window': 2 ** 24 });
  const call = (method: string, body: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      (client[method] as unknown as Unary).call(client, body, (error, reply) =>
        error ? reject(error) : resolve(reply),
      );
    });
  return {
    prepare: (rows) => async () => {
      const reply = await call('BatchInsertVectors', insertMessage(name, rows));
      // inserted_count is the first field of the reply.
      const [tag = 0, low = 0, high = 0] = reply;
      if (tag !== 8 || (low & 127) + high * 128 !== rows.ids.length) {
        throw new Error('not all inserted');
      }
    },
    search: async (queries) => {
      const row = fieldLength(fieldLength(dimension * 4));
      const count = queries.length / dimension;
      const message = new Message(fieldLength(name.length) + count * row);
      message.field(1, Buffer.from(name));
      for (const row of vectorsOf(queries, dimension)) {
        message.open(2, fieldLength(row.byteLength));
        message.field(1, bytesOf(row));
      }
      const reply = await call('BatchSearchVectors', message.bytes);
      const decoded = service.BatchSearchVectors?.responseDeserialize(reply) as unknown as {
        batch_results: { results: { id: string }[] }[];
      };
      return decoded.batch_results.map(({ results }) => results[0]?.id);
    },
    close: () => client.close(),
  };
}

/** A batch as the message `BatchInsertVectorsRequest`. */
function insertMessage(name: string, { ids, data }: Rows): Buffer {
  const vectors = vectorsOf(data, data.length / ids.length);
  const names = ids.map((id) => Buffer.from(id));
  const row = (n: number) =>
    fieldLength(names[n]?.length ?? 0) + fieldLength(vectors[n]?.byteLength ?? 0);
  const lengths = ids.map((_, n) => row(n));
  const bytes = lengths.reduce((sum, length) => sum + fieldLength(length), 0);
  const message = new Message(bytes + fieldLength(name.length));
  message.field(1, Buffer.from(name));
  vectors.forEach((vector, n) => {
    message.open(2, lengths[n] ?? 0);
    message.field(1, names[n] ?? Buffer.alloc(0));
    message.field(2, bytesOf(vector));
  });
  return message.bytes;
}

/** A protobuf message that is written into one buffer, as the usual encoders do it. */
class Message {
  readonly #buffer: Buffer;
  #end = 0;

  constructor(bytesMax: number) {
    this.#buffer = Buffer.allocUnsafe(bytesMax);
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end);
  }

  /** The start of a field of so many bytes. */
  open(number: number, length: number): void {
    this.#buffer[this.#end++] = number * 8 + 2;
    let rest = length;
    for (; rest >= 128; rest = Math.floor(rest / 128))
      this.#buffer[this.#end++] = (rest % 128) + 128;
    this.#buffer[this.#end++] = rest;
  }

  /** A field. */
  field(number: number, bytes: Uint8Array): void {
    this.open(number, bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }
}

/** The bytes of a field with its tag and its length. */
function fieldLength(length: number): number {
  const digits = Math.max(1, Math.ceil(Math.log2(length + 1) / 7));
  return 1 + digits + length;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
