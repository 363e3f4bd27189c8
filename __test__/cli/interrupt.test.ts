import { EventEmitter } from 'node:events';
import test from 'ava';
import { Interrupt } from '../../src/cli/interrupt.js';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];

  exit(code: number): void {
    this.exits.push(code);
  }
}

test('the first Ctrl-C asks to stop, the second one ends the process', (t) => {
  const source = new FakeProcess();
  const notices: string[] = [];
  const terminal = { notice: (...lines: string[]) => notices.push(...lines) };
  const interrupt = new Interrupt(terminal, source);
  t.false(interrupt.signal.aborted);
  source.emit('SIGINT');
  t.true(interrupt.signal.aborted);
  t.deepEqual(source.exits, []);
  t.regex(notices.join('\n'), /Ctrl-C again/);
  source.emit('SIGINT');
  t.deepEqual(source.exits, [130]);
});

test('after its work, nothing listens any more', (t) => {
  const source = new FakeProcess();
  new Interrupt({ notice: () => {} }, source).dispose();
  t.is(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM'), 0);
});
