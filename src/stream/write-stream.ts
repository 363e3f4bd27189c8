import { cancelBatch } from '../cancel.js';
import type { CollectionParts } from '../collection.js';
import { decodeWrite } from '../decode.js';
import type { Encoded } from '../encode.js';
import { VolleyError } from '../errors.js';
import { unlessAborted } from '../interrupt.js';
import type { CallContext, Reply } from '../native/door.js';
import type { WireOptions } from '../options.js';
import type { Failure, MixedResult } from '../results.js';
import { ChunkMemory } from './chunk-memory.js';
import { type Chunk, Chunker } from './chunker.js';
import { embedChunk } from './embed-chunk.js';
import type { StreamRules } from './options.js';
import { OutcomeQueue } from './outcomes.js';
import { listenOutside } from './outside.js';
import { Puller } from './puller.js';
import { Reporter, type StreamState } from './reporter.js';
import type { OperationStream, StreamOutcome, StreamSummary } from './results.js';
import { Stage } from './stage.js';
import { streamError } from './stream-error.js';
import { Tally } from './tally.js';

/** What a stream of writes calls, and how its items are encoded. */
export interface StreamTarget {
  readonly parts: CollectionParts;
  /** The method's name, for messages. */
  readonly call: string;
  readonly verb: 'insert' | 'update' | 'delete' | 'write';
  /** Options of every chunk, under their wire names. */
  readonly taken: WireOptions;
  encode(input: Chunk['input']): Encoded;
}

const MIB = 1024 * 1024;

interface InFlight {
  readonly chunk: Chunk;
  readonly batchId: string;
}

/** Cuts a source into chunks and keeps a few of them in work; see {@link OperationStream}. */
export class WriteStream implements OperationStream {
  readonly summary: Promise<StreamSummary>;

  readonly #target: StreamTarget;
  readonly #rules: StreamRules;
  readonly #puller: Puller;
  readonly #memory: ChunkMemory;
  readonly #chunker: Chunker;
  readonly #outcomes: OutcomeQueue;
  readonly #tally: Tally;
  readonly #reporter: Reporter | undefined;
  readonly #stopping = new AbortController();
  readonly #inFlight: InFlight[] = [];
  readonly #ended: Promise<StreamSummary>;
  #stage: Stage | undefined;
  #startedAt = 0;
  /** Settled when the chunk before has been handed to the engine, and when it is counted. */
  #handedOver: Promise<unknown> = Promise.resolve();
  #settled: Promise<unknown> = Promise.resolve();
  #wake: (() => void) | undefined;
  #cancelled = false;
  #isDone = false;
  /** Whether a chunk was refused whole, be it by the engine or because the stream was stopped. */
  #isCut = false;
  /** Whether all chunks are answered: from here on a stop takes nothing back. */
  #isEnding = false;
  #isFinished = false;
  #failure: { readonly error: unknown } | undefined;
  #received = 0;
  #bytes = 0;
  #chunkCount = 0;
  #nextOffset = 0;
  #resumedFrom = 0;
  #sequence = 0;
  #reached: StreamSummary['reached'] = 'applied';

  constructor(target: StreamTarget, source: unknown, rules: StreamRules) {
    this.#target = target;
    this.#rules = rules;
    const { door, name, settings } = target.parts;
    this.#puller = new Puller(target.call, source);
    const budgetBytes = settings.maxMemoryUsageMb * MIB;
    const deletes = target.verb === 'delete';
    this.#memory = new ChunkMemory(door, budgetBytes, rules.parallelWorkers, deletes);
    const { bytesMax } = this.#memory;
    this.#chunker = new Chunker(this.#puller, { ...rules.chunkSize, bytesMax });
    this.#outcomes = new OutcomeQueue(rules.parallelWorkers);
    this.#tally = new Tally(rules.failuresKept);
    this.#reporter = rules.onProgress && new Reporter(door, name, rules.onProgress, rules.total);
    this.#ended = this.#run();
    this.summary = this.#ended.then((summary) => this.#judge(summary));
    // Whoever does not look at the summary must not be ended by it.
    this.summary.catch(() => {});
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamOutcome, void, undefined> {
    return this.#outcomes.read(() => this.cancel());
  }

  async cancel(reason?: unknown): Promise<StreamSummary> {
    await this.#stop(reason);
    return this.#ended;
  }

  async #run(): Promise<StreamSummary> {
    // A caller who iterates at once misses nothing.
    await Promise.resolve();
    this.#startedAt = performance.now();
    const { closing } = this.#target.parts;
    const release = listenOutside(this.#rules, closing, (reason) => void this.#stop(reason));
    try {
      await this.#begin();
      while (!this.#isStopped) await this.#step();
    } catch (error) {
      this.#fail(error);
    }
    await this.#memory.close();
    try {
      await this.#puller.close();
    } catch (error) {
      this.#fail(error);
    }
    await this.#settled;
    this.#closeOff();
    await this.#end();
    release();
    const summary = this.#summarize();
    await this.#reporter?.finish(() => this.#state()).catch(() => {});
    this.#outcomes.end(this.#failure?.error);
    summary.unreadCount = this.#outcomes.unreadCount;
    return summary;
  }

  get #isStopped(): boolean {
    return this.#cancelled || this.#failure !== undefined || this.#isDone;
  }

  async #begin(): Promise<void> {
    const { door, name } = this.#target.parts;
    if (this.#rules.atomic) this.#stage = await Stage.begin(door, name);
    const { streamId } = this.#rules;
    if (streamId === undefined || this.#isStopped) return;
    const header = { collection: name, stream_id: streamId };
    const { offset } = await door.call('stream.offset', header);
    this.#resumedFrom = await this.#chunker.skip(offset as number);
    this.#nextOffset = this.#resumedFrom;
  }

  /** Nothing is read before there is a free worker, room for outcomes, and memory. */
  async #step(): Promise<void> {
    while (this.#inFlight.length >= this.#rules.parallelWorkers && !this.#isStopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await this.#outcomes.room();
    if (this.#isStopped) return;
    const reservation = await this.#memory.reserve(this.#chunker.nextCount);
    let chunk: Chunk | undefined;
    try {
      chunk = await this.#chunker.next();
    } finally {
      if (chunk === undefined || this.#isStopped) await this.#memory.release(reservation);
    }
    if (chunk === undefined) {
      this.#isDone = true;
      return;
    }
    this.#received += chunk.count;
    if (this.#isStopped) return this.#refuseLast(chunk, this.#stopError());
    if (chunk.refusal !== undefined) {
      await this.#memory.release(reservation);
      await this.#refuseLast(chunk, chunk.refusal);
      return this.#fail(chunk.refusal);
    }
    this.#memory.reserveAhead(this.#chunker.nextCount);
    this.#send(chunk, reservation);
  }

  #send(chunk: Chunk, reservation: number): void {
    const batchId = this.#target.parts.door.newBatchId();
    const entry = { chunk, batchId };
    this.#inFlight.push(entry);
    this.#chunkCount += 1;
    const before = this.#handedOver;
    const call = this.#prepare(chunk).then(async (encoded) => {
      await before;
      return { encoded, reply: this.#call(chunk, encoded, { batchId, reservation }) };
    });
    const { isOrdered } = this.#target.parts.door;
    // Where the door keeps no order, a chunk waits for the reply to the one before it.
    this.#handedOver = call
      .then(({ reply }) => (isOrdered ? undefined : reply.then(ignore, ignore)))
      .catch(() => this.#memory.release(reservation));
    const settled = this.#settled;
    this.#settled = (async () => {
      await settled;
      try {
        const { encoded, reply } = await call;
        await this.#count(chunk, decodeWrite<MixedResult>(await reply, encoded.refused));
      } catch (error) {
        await this.#refuse(chunk, error);
        this.#fail(error);
      }
      this.#inFlight.splice(this.#inFlight.indexOf(entry), 1);
      this.#wake?.();
      // A call-back of the caller's that throws ends the stream like a source that does.
      await this.#reporter?.report(() => this.#state()).catch((error) => this.#fail(error));
    })();
  }

  async #prepare(chunk: Chunk): Promise<Encoded> {
    const { parts, encode } = this.#target;
    if (parts.embedder === undefined) return encode(chunk.input);
    const { input, failures } = await embedChunk(chunk, parts, this.#stopping.signal);
    const encoded = encode(input);
    const refused = new Map(encoded.refused);
    for (const [index, failure] of failures)
      refused.set(index, { id: idOf(chunk, index), failure });
    return { ...encoded, refused };
  }

  #call(chunk: Chunk, encoded: Encoded, context: CallContext): Promise<Reply> {
    if (this.#cancelled) {
      void this.#memory.release(context.reservation ?? 0);
      return Promise.reject(this.#stopError());
    }
    const { parts, taken, verb } = this.#target;
    const { streamId, waitFor } = this.#rules;
    const header = JSON.stringify({
      collection: parts.name,
      ...encoded.header,
      ...taken,
      atomic: false,
      ...(waitFor === 'durable' && { wait_for: waitFor }),
      ...((this.#outcomes.isRead || this.#stage) && { outcomes: 'all' }),
      ...(streamId !== undefined && { stream_id: streamId, offset: chunk.offset }),
      ...(this.#stage && { stage: this.#stage.id }),
    });
    const bytes = header.length + (encoded.block?.byteLength ?? 0);
    this.#memory.learn(bytes, chunk.count);
    this.#bytes += bytes;
    this.#chunker.learn(header.length, chunk.count);
    const reply = parts.door.call(verb, header, encoded.block, context);
    // It is awaited in the order of the stream; until then a refusal is nobody's.
    reply.catch(() => {});
    return reply;
  }

  /** Takes in a chunk's reply. Chunks are counted in the order of the stream. */
  async #count(chunk: Chunk, result: MixedResult): Promise<void> {
    const { insertedCount = 0, updatedCount = 0, deletedCount = 0 } = result;
    const { skippedCount, unchangedCount } = result;
    this.#tally.add({ insertedCount, updatedCount, deletedCount, skippedCount, unchangedCount });
    if (this.#nextOffset === chunk.offset) this.#nextOffset += chunk.count;
    this.#sequence = Math.max(this.#sequence, result.sequence);
    for (const error of result.errors) {
      const { index, operationId: _, vectorId: id, ...failure } = error;
      await this.#failOne(chunk, index, id, failure as Failure);
    }
    if (this.#stage !== undefined) {
      this.#stage.note(result);
      return;
    }
    this.#reporter?.committed(result.sequence, this.#tally.succeededCount);
    const outcomes = (result.outcomes ?? []).map(({ index, id, status, ...failure }) => ({
      offset: chunk.offset + index,
      id,
      status,
      ...(status === 'failed' && { error: failure as unknown as Failure }),
    }));
    this.#outcomes.push(outcomes, chunk.count);
  }

  /** Refuses a chunk that was read and not sent, behind those before it. */
  async #refuseLast(chunk: Chunk, error: unknown): Promise<void> {
    await this.#settled;
    await this.#refuse(chunk, error);
  }

  /** Fails every operation of a chunk that was refused as a whole, or never sent. */
  async #refuse(chunk: Chunk, error: unknown): Promise<void> {
    this.#isCut = true;
    const failure = failureOf(error);
    const outcomes: StreamOutcome[] = [];
    for (let index = 0; index < chunk.count; index++) {
      const id = idOf(chunk, index);
      await this.#failOne(chunk, index, id, failure);
      outcomes.push({ offset: chunk.offset + index, id, status: 'failed', error: failure });
    }
    if (this.#stage === undefined) this.#outcomes.push(outcomes, chunk.count);
    else this.#stage.refuse(outcomes);
  }

  async #failOne(chunk: Chunk, index: number, id: string | null, error: Failure): Promise<void> {
    const failure = { offset: chunk.offset + index, id, error, item: chunk.item(index) };
    this.#tally.fail(failure);
    try {
      await this.#rules.onFailure?.(failure);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** A stop that came too late to keep anything back changes nothing of what the stream tells. */
  #closeOff(): void {
    this.#isEnding = true;
    const isWhole = this.#puller.isAtEnd && !this.#isCut && this.#stage === undefined;
    if (!this.#cancelled || !isWhole) return;
    this.#cancelled = false;
    if (this.#failure?.error === this.#stopping.signal.reason) this.#failure = undefined;
  }

  /** The stream's end: a staged one is committed or dropped, and the last level is waited for. */
  async #end(): Promise<void> {
    const { parts } = this.#target;
    try {
      if (this.#stage !== undefined) await this.#endStage(this.#stage);
      const isWhole = this.#failure === undefined && !this.#cancelled;
      if (this.#rules.waitFor === 'durable') this.#reached = 'durable';
      if (this.#rules.waitFor === 'indexed' && isWhole) {
        this.#stopping.signal.throwIfAborted();
        const indexed = parts.door.call('indexed', { collection: parts.name });
        await unlessAborted(this.#stopping.signal, indexed);
        this.#reached = 'indexed';
      }
    } catch (error) {
      // Out of time for the graph: all is committed, and told as far as it has come.
      if (!this.#stopping.signal.aborted) this.#fail(error);
    }
  }

  async #endStage(stage: Stage): Promise<void> {
    const isWhole =
      this.#failure === undefined && !this.#cancelled && this.#tally.counts.failedCount === 0;
    let committed: number | undefined;
    let refusal: unknown;
    if (isWhole) {
      try {
        committed = await stage.commit();
      } catch (error) {
        refusal = error;
      }
    } else {
      await stage.drop();
    }
    if (committed !== undefined) {
      this.#sequence = committed;
      this.#reporter?.committed(committed, this.#tally.succeededCount);
    } else {
      this.#tally.abortAll();
      this.#nextOffset = 0;
      this.#sequence = 0;
    }
    for (const outcomes of stage.outcomes(committed !== undefined)) {
      await this.#outcomes.room();
      this.#outcomes.push(outcomes, outcomes.length);
    }
    if (refusal !== undefined) this.#fail(refusal);
  }

  /** Ends the stream early: what has not committed does not, from the newest chunk backwards. */
  async #stop(reason: unknown): Promise<void> {
    if (this.#cancelled || this.#isFinished) return;
    this.#stopping.abort(reason);
    if (this.#isEnding) return this.#outcomes.release();
    this.#cancelled = true;
    if (reason instanceof VolleyError) this.#failure ??= { error: reason };
    this.#puller.interrupt();
    this.#outcomes.release();
    this.#wake?.();
    const { door } = this.#target.parts;
    await this.#memory.interrupt();
    // So that what is committed is the beginning of the stream, never a piece behind a gap.
    for (const { batchId } of [...this.#inFlight].reverse()) {
      await cancelBatch(door, batchId).catch(() => {});
    }
  }

  #fail(error: unknown): void {
    if (this.#cancelled) return;
    this.#failure ??= { error };
    this.#puller.interrupt();
    this.#outcomes.release();
    this.#wake?.();
  }

  #stopError(): VolleyError {
    const error = this.#failure?.error;
    if (error instanceof VolleyError) return error;
    const message = 'the stream was ended before this operation was committed';
    return new VolleyError('CANCELLED', message, { retriable: true, cause: error });
  }

  #state(): StreamState {
    const staged = this.#stage !== undefined && !this.#stage.isCommitted;
    const applied = staged ? 0 : this.#tally.succeededCount;
    const { failedCount } = this.#tally.counts;
    return { received: this.#received, applied, failed: failedCount, bytes: this.#bytes };
  }

  #summarize(): StreamSummary {
    this.#isFinished = true;
    const { counts, failures, droppedCount } = this.#tally;
    return {
      status: this.#status(),
      receivedCount: this.#received,
      ...counts,
      failures,
      failuresDroppedCount: droppedCount,
      unreadCount: 0,
      nextOffset: this.#nextOffset,
      resumedFrom: this.#resumedFrom,
      sequence: this.#sequence,
      reached: this.#reached,
      chunkCount: this.#chunkCount,
      bytes: this.#bytes,
      processingTimeMs: performance.now() - this.#startedAt,
      ...(this.#failure && { error: this.#failure.error }),
    };
  }

  #status(): StreamSummary['status'] {
    if (this.#cancelled) return 'cancelled';
    const failed = this.#tally.counts.failedCount > 0 || this.#failure !== undefined;
    if (!failed) return 'success';
    return this.#tally.succeededCount > 0 ? 'partial' : 'failed';
  }

  #judge(summary: StreamSummary): StreamSummary {
    const isFailure =
      this.#failure !== undefined ||
      (this.#rules.atomic && summary.status !== 'success' && summary.status !== 'cancelled');
    if (!isFailure || this.#rules.onError === 'collect') return summary;
    throw streamError(summary, this.#failure?.error, this.#tally.first);
  }
}

function idOf(chunk: Chunk, index: number): string | null {
  const item = chunk.item(index);
  if (typeof item === 'string') return item;
  const { id } = (typeof item === 'object' && item !== null ? item : {}) as { id?: unknown };
  return typeof id === 'string' && id.isWellFormed() ? id : null;
}

function ignore(): void {}

function failureOf(error: unknown): Failure {
  if (error instanceof VolleyError) {
    const { code, message, retriable, details } = error;
    return { ...details, errorCode: code, errorMessage: message, retriable };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return { errorCode: 'CANCELLED', errorMessage: reason, retriable: true };
}
