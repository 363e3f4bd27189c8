import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Round } from './results.js';
import type { Job } from './worker.js';

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a job in a process of its own, which is ended when it takes far too long. */
export async function turn(job: Omit<Job, 'folder'>, scratch: string): Promise<Round> {
  const folder = mkdtempSync(join(scratch, 'turn-'));
  try {
    return await inProcess({ ...job, folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inProcess(job: Job): Promise<Round> {
  const child = fork(WORKER, {
    cwd: ROOT,
    execArgv: ['--import=tsx', '--expose-gc'],
    // For engines that search on Node's own pool of threads.
    env: { ...process.env, UV_THREADPOOL_SIZE: String(job.threads) },
  });
  const seconds = longest(job);
  let result: Round | undefined;
  const timer = setTimeout(() => {
    result ??= { status: 'failed', reason: `no end within ${seconds} s` };
    child.kill('SIGKILL');
  }, seconds * 1000);
  child.on('message', (message: Round) => {
    result ??= message;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(result ?? { status: 'failed', reason: `ended with ${signal ?? `code ${code}`}` });
    });
    child.send(job);
  });
}

/** Insertion and its last step, and a full time for every setting. */
function longest({ limits, threads }: Job): number {
  const settings = 12 * Math.min(threads, 2);
  return Math.ceil(2 * limits.build + settings * limits.point + 60);
}
