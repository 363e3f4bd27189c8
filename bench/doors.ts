/**
 * What the doors cost: rates over loopback, client and server in two processes.
 *
 *     node --import=tsx bench/doors.ts [vectors] [dimension]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChannelCredentials, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { connect } from '../src/client/index.js';
import { type Collection, open } from '../src/index.js';
import { PROTO_PATH } from '../src/server/grpc/service.js';
import { serve } from '../src/server/index.js';

const BATCH = 1000;
/** Batches under way at the same time where a rate is measured; latencies are of one at a time. */
const IN_FLIGHT = 4;
const SINGLE_CALLS = 200;
const QUERIES = 100;

/** A child process that serves a new store, and ends when it is told to. */
async function serveInChild(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'volley-doors-'));
  const store = await open(directory);
  const server = await serve(store, { rest: 0, grpc: 0 });
  process.send?.({ rest: server.rest, grpc: server.grpc });
  await once(process, 'message');
  await server.close();
  await store.close();
  rmSync(directory, { recursive: true });
  process.disconnect?.();
}

function randomRows(count: number, dimension: number): Float32Array {
  return Float32Array.from({ length: count * dimension }, () => Math.random() * 2 - 1);
}

const idsFrom = (first: number) => Array.from({ length: BATCH }, (_, n) => `record ${first + n}`);

function print(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(56)} ${value}\n`);
}

interface Timed {
  readonly perSecond: number;
  readonly p95: number;
}

/** Runs batches, some at a time; rates are of `size` things each. */
async function timed(
  batches: number,
  size: number,
  inFlight: number,
  run: (index: number) => Promise<void>,
): Promise<Timed> {
  const times: number[] = [];
  let next = 0;
  const runner = async () => {
    while (next < batches) {
      const start = performance.now();
      await run(next++);
      times.push(performance.now() - start);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, runner));
  const seconds = (performance.now() - began) / 1000;
  times.sort((one, other) => one - other);
  const p95 = times[Math.min(times.length - 1, Math.floor(times.length * 0.95))] ?? 0;
  return { perSecond: (batches * size) / seconds, p95 };
}

function report(name: string, { perSecond, p95 }: Timed, unit: string): void {
  const rate = Math.round(perSecond).toLocaleString('en');
  print(name, `${rate.padStart(9)} ${unit}/s   p95 of a call ${p95.toFixed(1)} ms`);
}

/** The rate of a kind of insert with several batches under way, and with one. */
async function timedInserts(
  name: string,
  batches: number,
  run: (index: number) => Promise<void>,
): Promise<void> {
  const overlapping = await timed(batches, BATCH, IN_FLIGHT, run);
  report(`${name}, ${IN_FLIGHT} in flight`, overlapping, 'vectors');
  const few = Math.ceil(batches / 2);
  const alone = await timed(few, BATCH, 1, (index) => run(batches + index));
  report(`${name}, one after another`, alone, 'vectors');
}

/** REST with the client: typed rows in, one block of float32 on the wire. */
async function benchRest(collection: Collection, batches: number): Promise<void> {
  const data = randomRows(BATCH, collection.dimension);
  await timedInserts('REST, float32 bodies: insert', batches, async (index) => {
    await collection.insert({ ids: idsFrom(index * BATCH), data });
  });
  const queries = randomRows(QUERIES, collection.dimension);
  const searched = await timed(20, QUERIES, 1, async () => {
    const { failedQueries } = await collection.search({ queryVectors: queries });
    if (failedQueries > 0) throw new Error(`${failedQueries} queries failed`);
  });
  report(`REST, float32 bodies: search, ${QUERIES} a batch`, searched, 'queries');
}

async function benchJson(url: string, name: string, dimension: number, batches: number) {
  const rows = randomRows(BATCH, dimension);
  const data = Array.from({ length: BATCH }, (_, n) =>
    Array.from(rows.subarray(n * dimension, (n + 1) * dimension)),
  );
  await timedInserts('REST, JSON bodies: insert', batches, async (index) => {
    const ids = idsFrom(index * BATCH);
    const body = JSON.stringify({ vectors: data.map((row, n) => ({ id: ids[n], data: row })) });
    const response = await fetch(`${url}/api/v1/collections/${name}/vectors/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const reply = (await response.json()) as { inserted_count: number };
    if (reply.inserted_count !== BATCH) throw new Error(JSON.stringify(reply).slice(0, 500));
  });
}

/** A request in protobuf, made without a library so that the client does not set the pace. */
function insertMessage(collection: string, ids: readonly string[], rows: Float32Array): Buffer {
  const dimension = rows.length / ids.length;
  const field = (number: number, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([number * 8 + 2, ...varint(bytes.length)]), bytes]);
  const vectors = ids.map((id, n) => {
    const row = rows.subarray(n * dimension, (n + 1) * dimension);
    const numbers = new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
    return field(2, Buffer.concat([field(1, Buffer.from(id)), field(2, numbers)]));
  });
  return Buffer.concat([field(1, Buffer.from(collection)), ...vectors]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

type Unary = (request: Buffer, done: (error: Error | null, reply: Buffer) => void) => void;

async function benchGrpc(address: string, name: string, dimension: number, batches: number) {
  const service = loadSync(PROTO_PATH)['volley.v1.VectorStore'] as unknown as ServiceDefinition;
  const same = (bytes: Buffer) => bytes;
  const methods = Object.entries(service).map(([method, definition]) => [
    method,
    { ...definition, requestSerialize: same, responseDeserialize: same },
  ]);
  const Client = makeGenericClientConstructor(Object.fromEntries(methods), 'VectorStore');
  const insecure: ChannelCredentials = credentials.createInsecure();
  const client = new Client(address, insecure, { 'grpc-node.flow_control_window': 2 ** 24 });
  const insert = (client.BatchInsertVectors as unknown as Unary).bind(client);
  const rows = randomRows(BATCH, dimension);
  await timedInserts('gRPC: insert', batches, async (index) => {
    const request = insertMessage(name, idsFrom(index * BATCH), rows);
    const reply = await new Promise<Buffer>((resolve, reject) => {
      insert(request, (error, bytes) => (error ? reject(error) : resolve(bytes)));
    });
    // inserted_count is the first field of the reply.
    const [tag = 0, low = 0, high = 0] = reply;
    if (tag !== 8 || (low & 127) + high * 128 !== BATCH) throw new Error('not all were inserted');
  });
  client.close();
}

/** One batch against as many calls of one record each, one after another. */
async function benchSingle(collection: Collection): Promise<void> {
  const data = randomRows(BATCH, collection.dimension);
  const { dimension } = collection;
  const singles = await timed(SINGLE_CALLS, 1, 1, async (index) => {
    const row = data.subarray(index * dimension, (index + 1) * dimension);
    await collection.insert([{ id: `single ${index}`, data: row }]);
  });
  const batch = await timed(10, BATCH, 1, async (index) => {
    await collection.insert({ ids: idsFrom(1_000_000 + index * BATCH), data });
  });
  report('REST: single calls, one after another', singles, 'vectors');
  const factor = (batch.perSecond / singles.perSecond).toFixed(0);
  print('one batch of 1,000 against 1,000 single calls', `${factor} times as fast`);
}

async function main(vectors: number, dimension: number): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['--serve']);
  const [{ rest, grpc }] = (await once(child, 'message')) as [{ rest: string; grpc: string }];
  const batches = Math.ceil(vectors / BATCH);
  print('vectors, dimension, batch', `${batches * BATCH} x ${dimension}, ${BATCH}, durable`);
  const store = await connect(rest);
  const made = (name: string) => store.createCollection(name, { dimension });
  await benchRest(await made('rest'), batches);
  await made('json');
  await benchJson(rest, 'json', dimension, Math.min(batches, 20));
  await made('grpc');
  await benchGrpc(grpc, 'grpc', dimension, batches);
  await benchSingle(await made('single'));
  child.send('stop');
  await once(child, 'exit');
}

if (process.argv[2] === '--serve') await serveInChild();
else await main(Number(process.argv[2] ?? 50_000), Number(process.argv[3] ?? 768));
