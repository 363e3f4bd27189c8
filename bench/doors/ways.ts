import { type ChannelCredentials, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import type { Collection } from '../../src/index.js';
import { PROTO_PATH } from '../../src/server/grpc/service.js';

/** Records of a batch: ids, and their vectors end to end. */
export interface Rows {
  readonly ids: readonly string[];
  readonly data: Float32Array;
  /** The same as lists of numbers, as a program has them that sends JSON. */
  readonly lists: readonly (readonly number[])[];
}

/** One way into a served collection. */
export interface Way {
  /** Inserts all or throws. */
  insert(rows: Rows): Promise<void>;
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
    insert: async ({ ids, data }) => {
      await collection.insert({ ids: [...ids], data });
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
  const send = async (path: string, body: object) => {
    const response = await fetch(`${url}/api/v1/collections/${name}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const reply = await response.text();
    if (response.status !== 200) throw new Error(reply.slice(0, 500));
    return JSON.parse(reply);
  };
  return {
    insert: async ({ ids, lists }) => {
      const vectors = lists.map((data, n) => ({ id: ids[n], data }));
      await send('vectors/batch', { vectors });
    },
    search: async (queries) => {
      const vectors = vectorsOf(queries, dimension);
      const body = { queries: vectors.map((vector) => ({ query_vector: [...vector] })) };
      const { batch_results } = (await send('search/batch', body)) as {
        batch_results: { results: { id: string }[] }[];
      };
      return batch_results.map(({ results }) => results[0]?.id);
    },
    close: () => undefined,
  };
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
  const head = field(1, Buffer.from(name));
  return {
    insert: async ({ ids, data }) => {
      const rows = vectorsOf(data, dimension).map((row, n) =>
        field(2, Buffer.concat([field(1, Buffer.from(ids[n] ?? '')), field(2, bytesOf(row))])),
      );
      const reply = await call('BatchInsertVectors', Buffer.concat([head, ...rows]));
      // inserted_count is the first field of the reply.
      const [tag = 0, low = 0, high = 0] = reply;
      if (tag !== 8 || (low & 127) + high * 128 !== ids.length) throw new Error('not all inserted');
    },
    search: async (queries) => {
      const fields = vectorsOf(queries, dimension).map((row) => field(2, field(1, bytesOf(row))));
      const reply = await call('BatchSearchVectors', Buffer.concat([head, ...fields]));
      const decoded = service.BatchSearchVectors?.responseDeserialize(reply) as unknown as {
        batch_results: { results: { id: string }[] }[];
      };
      return decoded.batch_results.map(({ results }) => results[0]?.id);
    },
    close: () => client.close(),
  };
}

/** A field of protobuf with bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2, ...varint(bytes.length)]), bytes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
