import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import test, { type ExecutionContext } from 'ava';
import protobuf from 'protobufjs';
import type { RequestLog, ServeOptions } from '../../src/server/index.js';
import { frame, GrpcClient, type GrpcError, toStruct } from '../helpers/grpc-client.js';
import { served } from './helpers.js';

async function withThings(
  t: ExecutionContext,
  options: ServeOptions = {},
  headers: Record<string, string> = {},
) {
  const { store, server } = await served(t, { grpc: 0, ...options });
  const client = await GrpcClient.connect(server.grpc ?? '', headers);
  t.teardown(() => client.close());
  await store.createCollection('things', { dimension: 2 });
  return { store, server, client };
}

const vectors = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => ({ id: `id ${from + n}`, data: [n + 1, 1] }));

test('a refusal has the code as its reason, and says when to come back', async (t) => {
  const { client } = await withThings(t);
  const missing = { collection: 'none', vectors: [] };
  const error = await t.throwsAsync<GrpcError>(client.call('BatchInsertVectors', missing));
  t.like(error, { status: 5, code: 'COLLECTION_NOT_FOUND', retryMs: undefined });
  const large = { collection: 'things', vectors: vectors(2), batch_size_limit: 1 };
  const over = await t.throwsAsync<GrpcError>(client.call('BatchInsertVectors', large));
  t.like(over, { status: 3, code: 'BATCH_TOO_LARGE' });
  t.like(over?.details, { limit: '1', actual: '2' });
});

test('a client may send a whole batch ahead of the reading', async (t) => {
  const { server } = await served(t, { grpc: 0 });
  const session: ClientHttp2Session = connect(`http://${server.grpc}`);
  t.teardown(() => session.close());
  await once(session, 'connect');
  // The answer to a ping comes behind all that the server has said before.
  await new Promise((resolve) => session.ping((...answer) => resolve(answer)));
  t.is(session.remoteSettings.initialWindowSize, 4 * 1024 * 1024);
  t.is(session.state.remoteWindowSize, 16 * 1024 * 1024);
});

test('a failed batch is no error of the call', async (t) => {
  const { client } = await withThings(t);
  const twice = [...vectors(1), ...vectors(1)];
  const reply = await client.call('BatchInsertVectors', { collection: 'things', vectors: twice });
  t.like(reply, { status: 'failed', failed_count: 2, inserted_count: 0 });
  t.is(reply.errors[1].error_code, 'DUPLICATE_ID');
});

test('numbers come packed, in pieces and one by one', async (t) => {
  const { client, store } = await withThings(t);
  const float = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return bytes;
  };
  const text = (number: number, value: Buffer) =>
    Buffer.concat([Buffer.from([number * 8 + 2, value.length]), value]);
  const row = (id: string, numbers: Buffer) =>
    text(2, Buffer.concat([text(1, Buffer.from(id)), numbers]));
  const body = Buffer.concat([
    text(1, Buffer.from('things')),
    row('packed', text(2, Buffer.concat([float(1), float(2)]))),
    row('pieces', Buffer.concat([text(2, float(1)), text(2, float(2))])),
    row('single', Buffer.concat([Buffer.from([21]), float(1), Buffer.from([21]), float(2)])),
  ]);
  const stream = client.open('BatchInsertVectors');
  stream.end(frame(body));
  for await (const reply of client.replies('BatchInsertVectors', stream)) {
    t.is(reply.inserted_count, 3);
  }
  const things = await store.collection('things');
  for (const record of await things.get(['packed', 'pieces', 'single'], { include: ['data'] })) {
    t.deepEqual(record?.data, Float32Array.of(1, 2));
  }
});

test('bytes that are no message, and fields that are unknown, are refused', async (t) => {
  const { client } = await withThings(t);
  const whole = client.encode('BatchInsertVectors', {
    collection: 'things',
    vectors: [{ id: 'a', data: [1, 2], metadata: toStruct({ a: [1, { b: null }] }) }],
  });
  const bodies: Buffer[] = [Buffer.from([0xff]), Buffer.from([0xf8, 0x7f, 1]), Buffer.from([0x0b])];
  for (let end = 9; end < whole.length - 5; end++) bodies.push(whole.subarray(5, 5 + end));
  for (const body of bodies) {
    const stream = client.open('BatchInsertVectors');
    stream.end(frame(body));
    const failure = await t.throwsAsync<GrpcError>(async () => {
      for await (const reply of client.replies('BatchInsertVectors', stream)) t.log(reply);
    });
    t.true(['INVALID_ARGUMENT', 'COLLECTION_NOT_FOUND'].includes(failure?.code ?? ''));
  }
  const { count } = await client.call('CountVectors', { collection: 'things' });
  t.is(count, 0);
});

test('a message over the limit is refused, and others are unharmed', async (t) => {
  const { client } = await withThings(t, { requestBytesMax: 4096 });
  const large = { collection: 'things', vectors: vectors(1000) };
  const error = await t.throwsAsync<GrpcError>(client.call('BatchInsertVectors', large));
  t.is(error?.status, 8);
  const small = { collection: 'things', vectors: vectors(1) };
  t.is((await client.call('BatchInsertVectors', small)).inserted_count, 1);
});

test('a stream of writes is answered in order, with offset and credit', async (t) => {
  const { client } = await withThings(t);
  const stream = client.open('StreamWrites');
  const batches = [3, 5, 2];
  let from = 0;
  for (const count of batches) {
    const operations = vectors(count, from).map(({ data, ...row }) => ({
      op: 'insert',
      ...row,
      data: { values: data },
    }));
    stream.write(client.encode('StreamWrites', { collection: 'things', operations }));
    from += count;
  }
  stream.end();
  const replies = [];
  for await (const reply of client.replies('StreamWrites', stream)) replies.push(reply);
  t.deepEqual(
    replies.map(({ inserted_count }) => inserted_count),
    batches,
  );
  t.deepEqual(
    replies.map(({ offset }) => offset),
    [0, 3, 8],
  );
  t.true(replies.every(({ credit_bytes }) => credit_bytes > 0));
});

test('a stream that breaks has done what came before', async (t) => {
  const { client } = await withThings(t);
  const stream = client.open('StreamWrites');
  const operation = (id: string) => ({ op: 'insert', id, data: { values: [1, 2] } });
  const send = (collection: string, id: string) =>
    stream.write(client.encode('StreamWrites', { collection, operations: [operation(id)] }));
  send('things', 'a');
  send('none', 'b');
  send('things', 'c');
  stream.end();
  const replies: unknown[] = [];
  const error = await t.throwsAsync<GrpcError>(async () => {
    for await (const reply of client.replies('StreamWrites', stream)) replies.push(reply);
  });
  t.is(error?.code, 'COLLECTION_NOT_FOUND');
  t.is(replies.length, 1);
  const { count } = await client.call('CountVectors', { collection: 'things' });
  t.is(count, 1);
});

test('a stream that broke goes on where it was committed', async (t) => {
  const { client } = await withThings(t);
  const run = async (...offsets: number[]) => {
    const stream = client.open('StreamWrites');
    for (const offset of offsets) {
      const operations = [{ op: 'insert', id: `record ${offset}`, data: { values: [1, 2] } }];
      const batch = { collection: 'things', operations, stream_id: 'mine', offset };
      stream.write(client.encode('StreamWrites', batch));
    }
    stream.end();
    const counts: number[] = [];
    for await (const reply of client.replies('StreamWrites', stream)) {
      counts.push(reply.inserted_count);
    }
    return counts;
  };
  t.deepEqual(await run(0, 1), [1, 1]);
  const gap = await t.throwsAsync<GrpcError>(run(3));
  t.is(gap?.code, 'CONDITION_FAILED');
  t.like(gap?.details, { expected: '2' });
  t.deepEqual(await run(2, 3), [1, 1]);
  const { count } = await client.call('CountVectors', { collection: 'things' });
  t.is(count, 4);
});

test("a key beside a stream is refused, a key in a message is that message's", async (t) => {
  const { client, server } = await withThings(t);
  const keyed = await GrpcClient.connect(server.grpc ?? '', { 'idempotency-key': 'k' });
  t.teardown(() => keyed.close());
  const operations = [{ op: 'insert', id: 'a', data: { values: [1, 2] } }];
  const batch = { collection: 'things', operations };
  const run = async (caller: GrpcClient, message: object) => {
    const stream = caller.open('StreamWrites');
    stream.end(caller.encode('StreamWrites', message));
    const replies = [];
    for await (const reply of caller.replies('StreamWrites', stream)) replies.push(reply);
    return replies;
  };
  const refused = await t.throwsAsync<GrpcError>(run(keyed, batch));
  t.like(refused, { status: 3, code: 'INVALID_ARGUMENT' });
  const { count } = await client.call('CountVectors', { collection: 'things' });
  t.is(count, 0);
  const message = { ...batch, idempotency_key: 'k' };
  t.like(await run(client, message), [{ inserted_count: 1, replayed: false }]);
  t.like(await run(client, message), [{ inserted_count: 1, replayed: true }]);
});

test('a stream of searches', async (t) => {
  const { client, store } = await withThings(t);
  await (await store.collection('things')).insert([{ id: 'a', data: [1, 0] }]);
  const stream = client.open('StreamSearches');
  for (const query_vector of [
    [1, 0],
    [0, 1],
  ]) {
    const queries = [{ query_vector }];
    stream.write(client.encode('StreamSearches', { collection: 'things', queries }));
  }
  stream.end();
  const scores: number[] = [];
  for await (const reply of client.replies('StreamSearches', stream)) {
    scores.push(reply.batch_results[0].results[0].score);
  }
  t.deepEqual(scores, [1, 0]);
});

test('a writer that does not read its replies is held back', async (t) => {
  const { client, store } = await withThings(t);
  const stream = client.open('StreamWrites');
  stream.pause();
  const operations = [{ op: 'delete', id: 'x'.repeat(500), missing: 'ignore' }];
  const batch = {
    collection: 'things',
    operations: Array(2000).fill(operations[0]),
    outcomes: 'all',
  };
  const message = client.encode('StreamWrites', batch);
  const sentMax = 400_000_000;
  let sent = 0;
  while (sent < sentMax && stream.writableLength < 2_000_000) {
    stream.write(message);
    sent += message.length;
    const { count } = await client.call('CountVectors', { collection: 'things' });
    t.is(count, 0);
  }
  t.true(sent < sentMax, `the server took ${sent} bytes`);
  stream.destroy();
  t.deepEqual(
    (await store.listCollections()).map(({ name }) => name),
    ['things'],
  );
});

test('keys hold for every call and every message of a stream', async (t) => {
  const sha256 = createHash('sha256').update('one').digest('hex');
  const keys = [{ name: 'one', sha256, scopes: ['write' as const], collections: ['things'] }];
  const { client, server, store } = await withThings(t, { keys }, { authorization: 'Bearer one' });
  await store.createCollection('others', { dimension: 2 });
  const insert = { collection: 'things', vectors: vectors(1) };
  t.is((await client.call('BatchInsertVectors', insert)).inserted_count, 1);
  const other = { collection: 'others', vectors: vectors(1) };
  const denied = await t.throwsAsync<GrpcError>(client.call('BatchInsertVectors', other));
  t.like(denied, { status: 7, code: 'PERMISSION_DENIED' });
  const search = { collection: 'things', queries: [] };
  t.is((await t.throwsAsync<GrpcError>(client.call('BatchSearchVectors', search)))?.status, 7);
  const stream = client.open('StreamWrites');
  for (const collection of ['things', 'others']) {
    stream.write(client.encode('StreamWrites', { collection, operations: [] }));
  }
  stream.end();
  const late = await t.throwsAsync<GrpcError>(async () => {
    for await (const reply of client.replies('StreamWrites', stream)) t.is(reply.status, 'success');
  });
  t.is(late?.code, 'PERMISSION_DENIED');
  const stranger = await GrpcClient.connect(server.grpc ?? '', { authorization: 'Bearer two' });
  t.teardown(() => stranger.close());
  t.is((await t.throwsAsync<GrpcError>(stranger.call('BatchInsertVectors', insert)))?.status, 16);
});

test('standard health and reflection answer', async (t) => {
  const { client } = await withThings(t);
  const health = protobuf.parse(
    `syntax = "proto3"; message Check { string service = 1; } message Health { int32 status = 1; }`,
  ).root;
  const reflection = protobuf.parse(
    `syntax = "proto3"; message Ask { string list_services = 7; }
     message Answer { List list = 6; } message List { repeated Name service = 1; }
     message Name { string name = 1; }`,
    { keepCase: true },
  ).root;
  const ask = async (path: string, body: Uint8Array) => {
    const stream = client.openPath(path);
    stream.end(frame(Buffer.from(body)));
    const pieces: Buffer[] = [];
    stream.on('data', (piece) => pieces.push(piece));
    await once(stream, 'close');
    return Buffer.concat(pieces).subarray(5);
  };
  const check = health.lookupType('Check').encode({ service: 'volley.v1.VectorStore' }).finish();
  const checked = await ask('/grpc.health.v1.Health/Check', check);
  t.is((health.lookupType('Health').decode(checked) as unknown as { status: number }).status, 1);
  const listServices = reflection.lookupType('Ask').encode({ list_services: '*' }).finish();
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const answer = reflection.lookupType('Answer').decode(await ask(path, listServices));
  const { list } = answer as unknown as { list: { service: { name: string }[] } };
  t.true(list.service.some(({ name }) => name === 'volley.v1.VectorStore'));
});

test('what is no gRPC does not harm the others', async (t) => {
  const { client, server } = await withThings(t);
  const { connect } = await import('node:net');
  const port = Number((server.grpc ?? '').split(':').at(-1));
  for (const garbage of ['GET / HTTP/1.1\r\n\r\n', '\u0000'.repeat(100)]) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(garbage);
    socket.resume();
    await once(socket, 'close');
  }
  const stream = client.open('BatchInsertVectors');
  stream.on('error', () => undefined);
  stream.end(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]));
  stream.resume();
  await once(stream, 'close');
  t.is((await client.call('CountVectors', { collection: 'things' })).count, 0);
});

const CANCELLED: readonly (readonly [string, object])[] = [
  ['BatchInsertVectors', { vectors: [{ id: 'a', text: 'x' }] }],
  ['StreamWrites', { operations: [{ op: 'insert', id: 'a', text: 'x' }] }],
];

for (const [name, batch] of CANCELLED) {
  test(`${name} that its client cancels while it runs ends with nothing done`, async (t) => {
    await cancelled(t, name, batch);
  });
}

async function cancelled(t: ExecutionContext, name: string, batch: object): Promise<void> {
  let begin = () => {};
  const asked = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const embedder = {
    name: 'slow',
    version: '1',
    dimension: 2,
    embed: () => {
      begin();
      return new Promise<never>(() => {});
    },
  };
  let end = (_: string) => {};
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  const log = ({ code }: RequestLog) => end(code);
  const { store, server } = await served(t, { grpc: 0, log }, { embedders: [embedder] });
  const papers = await store.createCollection('papers', { embedder });
  const client = await GrpcClient.connect(server.grpc ?? '');
  t.teardown(() => client.close());
  const stream = client.open(name);
  stream.on('error', () => undefined);
  stream.end(client.encode(name, { collection: 'papers', ...batch }));
  await asked;
  stream.close(constants.NGHTTP2_CANCEL);
  // The embedder never answers.
  t.is(await ended, 'CANCELLED');
  t.is(await papers.count(), 0);
}
