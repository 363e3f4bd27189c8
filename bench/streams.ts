/**
 * What streams promise, measured: their rate beside that of awaited batches, and how soon a
 * cancellation is answered; and that a batch's time is linear in its operations. Called by main.ts.
 */
import { join } from 'node:path';
import { type Collection, type InsertRow, open } from '../src/index.js';
import { median, percentile } from './machine.js';
import { MixedRows } from './mixed-rows.js';
import { amount, line, print, rate } from './report.js';
import { seconds } from './work.js';

const BATCH = 1000;
const DIMENSION = 384;
const ROUNDS = 5;
/** Generated vectors that all rows are mixed from. */
const BASE_COUNT = 10_000;

/** Measures all of it with so many rows a round. */
export async function measureStreams(folder: string, rows: number): Promise<void> {
  const source = new MixedRows(BASE_COUNT, DIMENSION);
  print(`\nstreams: ${amount(rows)} x ${DIMENSION} a round, durable`);
  await measureRate(folder, source, rows);
  await measureCancel(folder, source);
  await measureLinearity(folder, source);
}

type Insert = (collection: Collection, source: MixedRows, rows: number) => Promise<unknown>;

const asStream: Insert = (collection, source, rows) =>
  collection.insertStream(source.rows(rows)).summary;

const asBatches: Insert = async (collection, source, rows) => {
  for (let from = 0; from < rows; from += BATCH) {
    await collection.insert([...source.rows(Math.min(BATCH, rows - from), from)]);
  }
};

/** In turn, so that both meet the machine in the same mood. */
async function measureRate(folder: string, source: MixedRows, rows: number): Promise<void> {
  const times: { stream: number[]; batches: number[] } = { stream: [], batches: [] };
  const rounds = rows > 200_000 ? 3 : ROUNDS;
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? (['stream', 'batches'] as const) : REVERSED) {
      const insert = way === 'stream' ? asStream : asBatches;
      await inStore(join(folder, `${way}-${round}`), async (collection) => {
        const taken = await seconds(async () => {
          await insert(collection, source, rows);
          await collection.indexed();
        });
        times[way].push(taken);
        const count = await collection.count();
        if (count !== rows) throw new Error(`${way}: ${count} records counted, not ${rows}`);
      });
    }
  }
  const [stream, batches] = [median(times.stream), median(times.batches)];
  const counted = `${amount(rows)} records counted, median of ${rounds} rounds`;
  line('awaited batches of 1,000, until indexed', rate(rows, batches), counted);
  line('insertStream, until indexed', rate(rows, stream), counted);
  line('insertStream beside awaited batches', `${((batches / stream) * 100).toFixed(0)} %`);
}

const REVERSED = ['batches', 'stream'] as const;

/** Milliseconds from the wish to the answer. */
async function measureCancel(folder: string, source: MixedRows): Promise<void> {
  await inStore(join(folder, 'cancel'), async (collection) => {
    const batch = [...source.rows(10_000)];
    const options = { onConflict: 'replace' } as const;
    const whole = (await seconds(() => collection.insert(batch, options))) * 1000;
    const unary = async (after: number) => {
      const controller = new AbortController();
      const { signal } = controller;
      const call = collection.insert(batch, { ...options, signal }).then(
        () => false,
        () => true,
      );
      await pause(after * whole);
      const began = performance.now();
      controller.abort();
      const stopped = await call;
      return { ms: performance.now() - began, stopped };
    };
    await report('cancel a batch of 10,000 rows', 40, unary);
    for (const atomic of [false, true]) {
      const name = `cancel ${atomic ? 'an atomic' : 'a'} stream`;
      const cancel = async (after: number) => {
        const stream = collection.insertStream(endless(source), { ...options, atomic });
        await pause(20 + after * 200);
        const began = performance.now();
        const { status } = await stream.cancel();
        return { ms: performance.now() - began, stopped: status === 'cancelled' };
      };
      await report(name, 40, cancel);
    }
  });
}

function* endless(source: MixedRows): Generator<InsertRow> {
  for (let n = 0; ; n++) yield source.row(n % 50_000);
}

type Cancel = (after: number) => Promise<{ ms: number; stopped: boolean }>;

async function report(name: string, count: number, cancel: Cancel): Promise<void> {
  const answers: Awaited<ReturnType<Cancel>>[] = [];
  for (let n = 0; n < count; n++) answers.push(await cancel(n / count));
  const times = (stopped: boolean) =>
    answers.filter((answer) => answer.stopped === stopped).map(({ ms }) => ms);
  const [stopped, committed] = [times(true), times(false)];
  const most = `most ${percentile(stopped, 1).toFixed(1)} ms of ${stopped.length}`;
  // Behind the point of no return the answer is the true result, and takes what the disk takes.
  const late = `; ${committed.length} had committed, most ${percentile(committed, 1).toFixed(1)} ms`;
  const figure = `${median(stopped).toFixed(1)} ms`;
  line(name, figure, committed.length > 0 ? most + late : most);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function measureLinearity(folder: string, source: MixedRows): Promise<void> {
  for (const count of [10, 100, 1000, 10_000]) {
    await inStore(join(folder, `linear-${count}`), async (collection) => {
      const rounds = Math.max(5, Math.min(50, 50_000 / count));
      const times = [];
      for (let round = 0; round < rounds; round++) {
        const batch = [...source.rows(count, round * count)];
        times.push(await seconds(() => collection.insert(batch)));
        await collection.indexed();
      }
      const ms = median(times) * 1000;
      const each = `${((ms * 1000) / count).toFixed(1)} µs`;
      const beside = `an operation; ${ms.toFixed(1)} ms in all`;
      line(`a batch of ${amount(count)}`, each, beside);
      const expected = rounds * count;
      if ((await collection.count()) !== expected) throw new Error(`not ${expected} records`);
    });
  }
}

async function inStore(
  path: string,
  work: (collection: Collection) => Promise<void>,
): Promise<void> {
  const store = await open(path);
  try {
    await work(await store.createCollection('records', { dimension: DIMENSION }));
  } finally {
    await store.close();
  }
}
