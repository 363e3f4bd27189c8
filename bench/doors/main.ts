/**
 * What the doors cost: rates over loopback, client and server in two processes, each beside the
 * floor that the specification sets for it.
 *
 *     node --import=tsx bench/doors/main.ts [vectors] [dimension]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/client/index.js';
import { open, type Store } from '../../src/index.js';
import { serve } from '../../src/server/index.js';
import { machine, percentile } from '../machine.js';
import { overFloat32, overGrpc, overJson, type Rows, type Way } from './ways.js';

const BATCH = 1000;
/** Batches under way at the same time where a rate is measured. */
const IN_FLIGHT = 4;
const QUERIES = 100;
const SEARCHES = 30;
/** Batches that are offered at half the rate that was reached. */
const OFFERED = 60;
const SINGLE_CALLS = 1000;

/** What the specification asks for at least (or at most, where it says so). */
const FLOORS = { float32: 10_000, json: 5000, grpc: 10_000, search: 1000, p95: 100, factor: 20 };

/** A child process that serves a new store, and ends when it is told to. */
async function serveInChild(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'volley-doors-'));
  for (const line of machine(directory)) process.stdout.write(`${line}\n`);
  const store = await open(directory);
  const server = await serve(store, { rest: 0, grpc: 0 });
  process.send?.({ rest: server.rest, grpc: server.grpc });
  await once(process, 'message');
  await server.close();
  await store.close();
  rmSync(directory, { recursive: true });
  process.disconnect?.();
}

function print(name: string, value: string, isMet?: boolean): void {
  const verdict = isMet === undefined ? '' : isMet ? '  met' : '  MISSED';
  process.stdout.write(`${name.padEnd(52)} ${value}${verdict}\n`);
}

function printRate(name: string, rate: number, floor: number, more = ''): void {
  const text = Math.round(rate).toLocaleString('en').padStart(8);
  print(name, `${text}/s  floor ${floor.toLocaleString('en').padStart(6)}/s${more}`, rate >= floor);
}

/** Different vectors in batches; every door gets the same. */
function batchesOf(count: number, dimension: number, first = 0): Rows[] {
  return Array.from({ length: count }, (_, batch) => {
    const ids = Array.from({ length: BATCH }, (_, n) => `record ${first + batch * BATCH + n}`);
    const data = Float32Array.from({ length: BATCH * dimension }, () => Math.random() * 2 - 1);
    return { ids, data };
  });
}

/** Runs calls, some at a time; returns how many a second there were, and the time of each in ms. */
async function timed(calls: number, inFlight: number, run: (index: number) => Promise<void>) {
  const times: number[] = [];
  let next = 0;
  const runner = async () => {
    while (next < calls) {
      const start = performance.now();
      await run(next++);
      times.push(performance.now() - start);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, runner));
  return { perSecond: (calls * 1000) / (performance.now() - began), times };
}

/**
 * Inserts and searches over one door; returns the batches a second that it can take in for ever:
 * the graph is no further behind then.
 */
async function benchWay(
  door: string,
  way: Way,
  batches: readonly Rows[],
  floor: number,
  settle: () => Promise<unknown>,
): Promise<number> {
  const inserts = batches.map((rows) => way.prepare(rows));
  const began = performance.now();
  const inserted = await timed(inserts.length, IN_FLIGHT, async (index) => inserts[index]?.());
  printRate(`${door}: insert, ${IN_FLIGHT} in flight`, inserted.perSecond * BATCH, floor);
  await settle();
  const sustained = (batches.length * 1000) / (performance.now() - began);
  let found = 0;
  const [{ ids, data }] = batches as [Rows];
  const size = (data.length / BATCH) * QUERIES;
  const searched = await timed(SEARCHES, 1, async (index) => {
    const from = (index % (BATCH / QUERIES)) * QUERIES;
    const start = (from / QUERIES) * size;
    const nearest = await way.search(data.subarray(start, start + size));
    found += nearest.filter((id, n) => id === ids[from + n]).length;
  });
  const share = ((found / (SEARCHES * QUERIES)) * 100).toFixed(1);
  const more = `  (${share} % found themselves)`;
  printRate(`${door}: search`, searched.perSecond * QUERIES, FLOORS.search, more);
  return sustained;
}

/** The time of a batch where batches come at half the rate that the door takes in. */
async function benchOffered(way: Way, batches: readonly Rows[], perSecond: number): Promise<void> {
  const inserts = batches.map((rows) => way.prepare(rows));
  const began = performance.now();
  const times = inserts.map(async (insert, index) => {
    const due = began + index * (2000 / perSecond);
    await delay(Math.max(0, due - performance.now()));
    // From when it was due: a client that is behind makes nothing look faster.
    await insert();
    return performance.now() - due;
  });
  const p95 = percentile(await Promise.all(times), 0.95);
  const rate = `${Math.round((perSecond * BATCH) / 2).toLocaleString('en')}/s offered`;
  print(
    `gRPC: a batch of ${BATCH} at half what it sustains, p95`,
    `${p95.toFixed(1).padStart(8)} ms  limit ${FLOORS.p95} ms  (${rate})`,
    p95 < FLOORS.p95,
  );
}

/** Requests for inserts that the server has counted. */
async function insertRequests(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts = text.matchAll(/^volley_request_duration_seconds_count\{.*"POST .*\} (\d+)$/gm);
  return Array.from(counts).reduce((sum, [, count]) => sum + Number(count), 0);
}

/** One batch against as many calls of one record each, one after another. */
async function benchSingle(url: string, store: Store, rows: Rows): Promise<void> {
  const dimension = rows.data.length / BATCH;
  const singles = await store.createCollection('singles', { dimension });
  const whole = await store.createCollection('whole', { dimension });
  const before = await insertRequests(url);
  const single = await timed(SINGLE_CALLS, 1, async (index) => {
    const data = rows.data.subarray(index * dimension, (index + 1) * dimension);
    await singles.insert([{ id: `record ${index}`, data }]);
  });
  const between = await insertRequests(url);
  const batch = await timed(1, 1, async () => {
    await whole.insert({ ids: [...rows.ids], data: rows.data });
  });
  const after = await insertRequests(url);
  const factor = (batch.perSecond * SINGLE_CALLS) / single.perSecond;
  const singleRate = `${Math.round(single.perSecond)}/s one after another`;
  print(
    `one batch of ${BATCH} against as many single calls`,
    `${factor.toFixed(0).padStart(8)} x   floor ${FLOORS.factor} x  (${singleRate})`,
    factor >= FLOORS.factor,
  );
  const fewer = 100 * (1 - (after - between) / (between - before));
  print('fewer round trips', `${fewer.toFixed(1).padStart(8)} %   floor 95 %`, fewer >= 95);
}

async function main(vectors: number, dimension: number): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['--serve']);
  const [{ rest, grpc }] = (await once(child, 'message')) as [{ rest: string; grpc: string }];
  const batches = batchesOf(Math.ceil(vectors / BATCH), dimension);
  print('vectors, dimension, batch', `${batches.length * BATCH} x ${dimension}, ${BATCH}, durable`);
  const store = await connect(rest);
  const made = (name: string) => store.createCollection(name, { dimension });
  const settled = (name: string) => () =>
    fetch(`${rest}/api/v1/collections/${name}/indexed`, { method: 'POST' });
  const float32 = overFloat32(await made('float32'));
  await benchWay('REST, float32', float32, batches, FLOORS.float32, settled('float32'));
  await made('json');
  const json = overJson(rest, 'json', dimension);
  await benchWay('REST, JSON', json, batches, FLOORS.json, settled('json'));
  await made('grpc');
  const way = overGrpc(grpc, 'grpc', dimension);
  const perSecond = await benchWay('gRPC', way, batches, FLOORS.grpc, settled('grpc'));
  await benchOffered(way, batchesOf(OFFERED, dimension, batches.length * BATCH), perSecond);
  way.close();
  await benchSingle(rest, store, batches[0] as Rows);
  child.send('stop');
  await once(child, 'exit');
}

if (process.argv[2] === '--serve') await serveInChild();
else await main(Number(process.argv[2] ?? 40_000), Number(process.argv[3] ?? 768));
