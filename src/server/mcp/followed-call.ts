import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerContext } from '@modelcontextprotocol/server';
import type { Pass } from '../gate.js';
import type { Service } from '../service.js';

/** Milliseconds between two looks at a batch that runs. */
const INTERVAL_MS = 200;

/** A call of the engine under a name, by which its caller is told how far it is and may stop it. */
export class FollowedCall {
  readonly #service: Service;
  readonly #pass: Pass;
  readonly #mcp: ServerContext['mcpReq'];
  readonly #total: number;
  readonly #batchId = randomUUID();
  #told = -1;

  /** @param total Operations or queries of the call. */
  constructor(service: Service, pass: Pass, context: ServerContext, total: number) {
    this.#service = service;
    this.#pass = pass;
    this.#mcp = context.mcpReq;
    this.#total = total;
  }

  /** Runs the call, and ends with its result. */
  async run<Result>(
    call: (parts: { batchId: string; signal: AbortSignal }) => Promise<Result>,
  ): Promise<Result> {
    const ended = new AbortController();
    await this.#tell(0);
    try {
      const result = call({ batchId: this.#batchId, signal: this.#mcp.signal });
      // Progress that cannot be told is no fault of the call.
      void this.#follow(ended.signal).catch(() => undefined);
      const reply = await result;
      ended.abort();
      await this.#tell(this.#total * 2);
      return reply;
    } finally {
      ended.abort();
    }
  }

  /** Tells what has been received while the call goes on: for memory, embeddings or the graph. */
  async #follow(ended: AbortSignal): Promise<void> {
    if (this.#mcp._meta?.progressToken === undefined) return;
    for (;;) {
      await delay(INTERVAL_MS, undefined, { signal: ended });
      const { received } = await this.#service.progress(this.#pass, this.#batchId);
      if (!ended.aborted) await this.#tell(Math.min(Number(received), this.#total));
    }
  }

  /** An operation counts once when it is received, and once when it is done. */
  async #tell(progress: number): Promise<void> {
    const progressToken = this.#mcp._meta?.progressToken;
    if (progressToken === undefined || progress <= this.#told || this.#total === 0) return;
    this.#told = progress;
    const params = { progressToken, progress, total: this.#total * 2 };
    await this.#mcp.notify({ method: 'notifications/progress', params });
  }
}
