import { randomUUID } from 'node:crypto';
import { VolleyError } from '../errors.js';
import { type CallContext, parseReply } from '../native/door.js';
import type { Store } from '../store.js';
import { Engine } from './engine.js';
import { Gate, type Pass, type Wish } from './gate.js';
import { type ApiKey, Keys } from './keys.js';
import type { LogRequest, RequestLog } from './log.js';
import { Metrics } from './metrics.js';

const MIB = 1024 * 1024;

const BODY_ARRIVAL_MS = 300_000;

/** What all surfaces of one server have in common. */
export interface ServiceOptions {
  /** Keys of the callers; without any, everyone may do everything. */
  readonly keys?: readonly ApiKey[] | undefined;
  /** Largest body of a request, and largest message, in bytes. @default 64 MiB */
  readonly requestBytesMax?: number | undefined;
  /**
   * Milliseconds for a body to arrive, and between two pieces of a body of lines.
   * @default 300,000
   */
  readonly bodyArrivalMs?: number | undefined;
  /** Gets one entry for each request. Default: nothing is logged. */
  readonly log?: LogRequest | undefined;
}

/** A request from its arrival to the end of its reply. */
export interface Exchange {
  readonly requestId: string;
  readonly pass: Pass;
  /** Ends it: gives back what it held, counts and logs it. */
  end(code: string, status: number, bytesIn: number, bytesOut: number): void;
}

/** What a surface says of a request that arrives. */
export interface Arrival extends Wish {
  readonly surface: RequestLog['surface'];
  /** What logs call it. */
  readonly request: string;
  /** What metrics call it: one of few. */
  readonly route: string;
  /** The caller's own name for it, kept where it is short and plain. */
  readonly requestId?: string | undefined;
}

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** A store that is served: the way to its engine, who may come in, and what is noted of them. */
export class Service {
  readonly engine: Engine;
  readonly gate: Gate;
  readonly metrics = new Metrics();
  readonly requestBytesMax: number;
  readonly bodyArrivalMs: number;
  readonly hasKeys: boolean;
  readonly #log: LogRequest | undefined;

  constructor(store: Store, options: ServiceOptions = {}) {
    const keys = new Keys(options.keys ?? []);
    const { requestBytesMax = 64 * MIB, bodyArrivalMs = BODY_ARRIVAL_MS } = options;
    this.requestBytesMax = checkInteger('requestBytesMax', requestBytesMax, 1024);
    this.bodyArrivalMs = checkInteger('bodyArrivalMs', bodyArrivalMs, 1);
    this.engine = new Engine(store);
    this.gate = new Gate(keys);
    this.hasKeys = !keys.isEmpty;
    this.#log = options.log;
  }

  /** The name of a request: the caller's where it is fit, else a new one. */
  requestId(given: string | undefined): string {
    return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
  }

  /**
   * Lets a request in.
   *
   * @throws VolleyError What {@link Gate.enter} throws; that is noted, too.
   */
  enter(arrival: Arrival): Exchange {
    const began = performance.now();
    const requestId = this.requestId(arrival.requestId);
    const note = (caller: string | null, code: string, status: number, sizes: [number, number]) =>
      this.#note(arrival, { requestId, began, caller, code, status, sizes });
    let pass: Pass;
    try {
      pass = this.gate.enter(arrival);
    } catch (error) {
      note(null, error instanceof VolleyError ? error.code : 'INTERNAL', 0, [0, 0]);
      throw error;
    }
    return {
      requestId,
      pass,
      end: (code, status, bytesIn, bytesOut) => {
        pass.end();
        note(pass.caller.name, code, status, [bytesIn, bytesOut]);
      },
    };
  }

  /**
   * What the engine is told of a call that is no stream: whose it is, that it may not be larger
   * than a batch, and that it is refused instead of kept waiting where memory is short.
   */
  context(pass: Pass): CallContext {
    const { maxBatchSize } = this.engine;
    return { ...this.streamContext(pass), maxBatchSize, refuseOverload: true };
  }

  /** The same for a part of a stream, which waits for memory and is bounded by bytes. */
  streamContext({ caller }: Pass): CallContext {
    return { caller: this.hasKeys ? caller.name : '' };
  }

  /** How far a batch of the caller is. */
  async progress(pass: Pass, batchId: string): Promise<Record<string, unknown>> {
    const reply = await this.engine.send({
      verb: 'batches.get',
      beside: { batch_id: batchId },
      format: 'json',
      body: Buffer.from('{}'),
      collection: undefined,
      context: this.streamContext(pass),
    });
    return parseReply(reply);
  }

  /** Lets nobody in any more and waits for those who are in. */
  async close(): Promise<void> {
    await this.gate.close();
    this.engine.close();
  }

  #note(
    { surface, request, route }: Arrival,
    {
      requestId,
      began,
      caller,
      code,
      status,
      sizes: [bytesIn, bytesOut],
    }: {
      requestId: string;
      began: number;
      caller: string | null;
      code: string;
      status: number;
      sizes: [number, number];
    },
  ): void {
    const entry: RequestLog = {
      time: new Date().toISOString(),
      surface,
      request_id: requestId,
      request,
      caller,
      code,
      status,
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      duration_ms: Math.round((performance.now() - began) * 1000) / 1000,
    };
    this.metrics.count(entry, route);
    this.#log?.(entry);
  }
}

/** Any failure as an error with a code; what is none of ours is a fault of ours. */
export function volleyError(failure: unknown): VolleyError {
  if (failure instanceof VolleyError) return failure;
  const message = failure instanceof Error ? failure.message : String(failure);
  return new VolleyError('INTERNAL', message, { cause: failure });
}

/** Refuses what is no integer from `least` to what 31 bits hold. */
export function checkInteger(field: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least && value < 2 ** 31) return value;
  const message = `${field} must be an integer from ${least} to ${2 ** 31 - 1}`;
  throw new VolleyError('INVALID_ARGUMENT', message, {
    details: { field, actual: value },
  });
}
