import { Writable } from 'node:stream';
import { Terminal, type TextStream } from '../../../src/cli/terminal.js';

class Collected extends Writable {
  text = '';
  isTTY = false;
  columns = 80;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface MemoryTerminal {
  readonly terminal: Terminal;
  readonly stdout: Collected;
  readonly stderr: Collected;
}

/** A terminal that keeps what is written. */
export function memoryTerminal(
  options: { isTTY?: boolean; env?: Record<string, string> } = {},
): MemoryTerminal {
  const stdout = new Collected();
  const stderr = new Collected();
  stdout.isTTY = options.isTTY ?? false;
  stderr.isTTY = options.isTTY ?? false;
  const streams: { stdout: TextStream; stderr: TextStream } = { stdout, stderr };
  return { terminal: new Terminal({ ...streams, env: options.env ?? {} }), stdout, stderr };
}
