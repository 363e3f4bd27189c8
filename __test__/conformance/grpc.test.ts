import { open } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { fromStruct, GrpcClient, toStruct } from '../helpers/grpc-client.js';
import { LARGE_BATCHES } from './scenario.js';
import { conformance } from './suite.js';
import type { Surface } from './surface.js';
import { record, rowsOf, searchResult, toWire, writeResult } from './wire-words.js';

// biome-ignore lint/suspicious/noExplicitAny: messages of every type.
type Message = any;

/** A row or options as a message: lists that may be absent and objects have types of their own. */
function message(wire: Message, wrapsData = false): Message {
  const { metadata, filters, include, data, ...rest } = wire;
  return {
    ...rest,
    ...(metadata && { metadata: toStruct(metadata) }),
    ...(filters && { filters: toStruct(filters) }),
    ...(include && { include: { values: include } }),
    ...(data && { data: wrapsData ? { values: data } : data }),
  };
}

/** Errors and outcomes as JSON has them: details beside the code, no id where there is none. */
function plainReply(reply: Message): Message {
  const plain = ({ details, ...rest }: Message) => {
    const failure = { ...rest, ...fromStruct(details) };
    for (const name of ['vector_id', 'id']) if (failure[name] === '') failure[name] = null;
    return failure;
  };
  return {
    ...reply,
    errors: reply.errors.map(plain),
    ...(reply.outcomes && { outcomes: reply.outcomes.map(plain) }),
  };
}

function plainRecord({ data, metadata, text, version, group: _, ...rest }: Message) {
  return record({
    ...rest,
    ...(version ? { version } : {}),
    ...(data?.length > 0 && { data }),
    ...(metadata && { metadata: fromStruct(metadata) }),
    ...(text && { text }),
  });
}

/** gRPC, through a client that is made from the `.proto` alone. */
async function openGrpc(): Promise<Surface> {
  const store = await open(':memory:', LARGE_BATCHES);
  const server = await serve(store, { grpc: 0 });
  const client = await GrpcClient.connect(server.grpc ?? '');
  const call = (name: string, collection: string, request: object) =>
    client.call(name, { collection, ...request });
  const write = async (name: string, collection: string, request: object, options: object = {}) =>
    writeResult<never>(
      plainReply(await call(name, collection, { ...request, ...toWire(options) })),
    );
  return {
    createCollection: (name, options) =>
      client.call('CreateCollection', toWire({ name, ...options })),
    dropCollection: (name) => call('DropCollection', name, {}),
    collections: async () =>
      (await client.call('ListCollections', {})).collections.map((info: Message) => info.name),
    insert: (name, rows, options) => {
      const vectors = rowsOf(rows).map((row) => message(row));
      return write('BatchInsertVectors', name, { vectors }, options);
    },
    update: (name, rows, options) => {
      const updates = rowsOf(rows).map((row) => message(row, true));
      return write('BatchUpdateVectors', name, { updates }, options);
    },
    delete: (name, ids, options) => write('BatchDeleteVectors', name, { vector_ids: ids }, options),
    write: (name, list, options) => {
      const operations = rowsOf(list).map((row) => message(row, true));
      return write('BatchWriteVectors', name, { operations }, options);
    },
    search: async (name, queries, options = {}) => {
      const request = { queries: rowsOf(queries).map((row) => message(row)) };
      const reply = await call('BatchSearchVectors', name, {
        ...request,
        ...message(toWire(options)),
      });
      for (const answer of reply.batch_results) answer.results = answer.results.map(plainRecord);
      return searchResult(plainReply(reply));
    },
    get: async (name, ids, include) => {
      const reply = await call('GetVectors', name, message(toWire({ vectorIds: ids, include })));
      return reply.vectors.map((one: Message) => (one.id ? plainRecord(one) : null));
    },
    list: async (name, { limit = Number.POSITIVE_INFINITY, ...options } = {}) => {
      const records: ReturnType<typeof record>[] = [];
      let after: string | undefined;
      do {
        const page = { ...options, after, limit: Math.min(limit - records.length, 1000) };
        const { vectors, next } = await call('ListVectors', name, message(toWire(page)));
        records.push(...vectors.map(plainRecord));
        after = next || undefined;
      } while (after !== undefined && records.length < limit);
      return records;
    },
    count: async (name, filters) =>
      (await call('CountVectors', name, message(toWire({ filters })))).count,
    close: async () => {
      await client.close();
      await server.close();
      await store.close();
    },
  };
}

conformance(openGrpc);
