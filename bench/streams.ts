/**
 * What streams promise, measured: their rate beside that of awaited batches, memory that does not
 * grow with the input, and how soon a cancellation is answered; and that a batch's time is linear
 * in its operations. Called by main.ts.
 */
import { join } from 'node:path';
import { type Collection, type InsertRow, open } from '../src/index.js';
import { generatedDataset } from './data.js';
import { anonymousMemory, median, percentile } from './machine.js';
import { amount, line, print, rate } from './report.js';
import { seconds } from './work.js';

const BATCH = 1000;
const DIMENSION = 384;
const ROUNDS = 5;
/** Generated vectors that all rows are mixed from. */
const BASE_COUNT = 10_000;
const MIB = 1024 * 1024;

/** Measures all of it with so many rows a round; what is streamed for the memory is seven times. */
export async function measureStreams(folder: string, rows: number): Promise<void> {
  const { base } = generatedDataset(BASE_COUNT, DIMENSION, 0);
  print(`\nstreams: ${amount(rows)} x ${DIMENSION} a round, durable`);
  await measureRate(folder, base, rows);
  await measureMemory(folder, base, rows * 7);
  await measureCancel(folder, base);
  await measureLinearity(folder, base);
}

/** Row `n`, made when it is asked for: two of the generated vectors, mixed. */
function row(base: Float32Array, n: number): InsertRow {
  const from = (n % BASE_COUNT) * DIMENSION;
  const other = ((n * 7919 + Math.floor(n / BASE_COUNT) * 31) % BASE_COUNT) * DIMENSION;
  const data = new Float32Array(DIMENSION);
  for (let k = 0; k < DIMENSION; k++) {
    data[k] = (base[from + k] as number) + 0.4 * (base[other + k] as number);
  }
  return { id: `row-${n}`, data };
}

function* rowsOf(base: Float32Array, count: number, from = 0): Generator<InsertRow> {
  for (let n = from; n < from + count; n++) yield row(base, n);
}

type Insert = (collection: Collection, base: Float32Array, rows: number) => Promise<unknown>;

const asStream: Insert = (collection, base, rows) =>
  collection.insertStream(rowsOf(base, rows)).summary;

const asBatches: Insert = async (collection, base, rows) => {
  for (let from = 0; from < rows; from += BATCH) {
    await collection.insert([...rowsOf(base, Math.min(BATCH, rows - from), from)]);
  }
};

/** In turn, so that both meet the machine in the same mood. */
async function measureRate(folder: string, base: Float32Array, rows: number): Promise<void> {
  const times: { stream: number[]; batches: number[] } = { stream: [], batches: [] };
  const rounds = rows > 200_000 ? 3 : ROUNDS;
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? (['stream', 'batches'] as const) : REVERSED) {
      const insert = way === 'stream' ? asStream : asBatches;
      await inStore(join(folder, `${way}-${round}`), async (collection) => {
        const taken = await seconds(async () => {
          await insert(collection, base, rows);
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

/** Replaces the same few records over and over, so that only the input grows. */
async function measureMemory(folder: string, base: Float32Array, rows: number): Promise<void> {
  const records = Math.min(20_000, rows / 10);
  const budgetMb = 32;
  await inStore(
    join(folder, 'memory'),
    async (collection) => {
      const samples: number[] = [];
      function* source() {
        for (let n = 0; n < rows; n++) {
          if (n > 0 && n % Math.floor(rows / 20) === 0) samples.push(anonymousMemory() ?? 0);
          yield { ...row(base, n), id: `row-${n % records}` };
        }
      }
      const options = { onConflict: 'replace', duplicates: 'last_wins' } as const;
      const stream = collection.insertStream(source(), options);
      const summary = await stream.summary;
      samples.push(anonymousMemory() ?? 0);
      const shown = [4, 9, 14, 19].map((place) => Math.max(...samples.slice(place - 4, place + 1)));
      const beside = `${amount(await collection.count())} records left of ${amount(summary.insertedCount)}`;
      line(`memory budget ${budgetMb} MiB, streamed`, `${amount(summary.bytes / MIB)} MiB`, beside);
      const quarters = shown.map((bytes) => amount(bytes / MIB)).join(', ');
      line('anonymous memory, most of each quarter', quarters, 'MiB, with the index and Node');
    },
    budgetMb,
  );
}

/** Milliseconds from the wish to the answer. */
async function measureCancel(folder: string, base: Float32Array): Promise<void> {
  await inStore(join(folder, 'cancel'), async (collection) => {
    const batch = [...rowsOf(base, 10_000)];
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
        const stream = collection.insertStream(endless(base), { ...options, atomic });
        await pause(20 + after * 200);
        const began = performance.now();
        const { status } = await stream.cancel();
        return { ms: performance.now() - began, stopped: status === 'cancelled' };
      };
      await report(name, 40, cancel);
    }
  });
}

function* endless(base: Float32Array): Generator<InsertRow> {
  for (let n = 0; ; n++) yield row(base, n % 50_000);
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

async function measureLinearity(folder: string, base: Float32Array): Promise<void> {
  for (const count of [10, 100, 1000, 10_000]) {
    await inStore(join(folder, `linear-${count}`), async (collection) => {
      const rounds = Math.max(5, Math.min(50, 50_000 / count));
      const times = [];
      for (let round = 0; round < rounds; round++) {
        const batch = [...rowsOf(base, count, round * count)];
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
  maxMemoryUsageMb = 512,
): Promise<void> {
  const store = await open(path, { batchOperations: { maxMemoryUsageMb } });
  try {
    await work(await store.createCollection('records', { dimension: DIMENSION }));
  } finally {
    await store.close();
  }
}
