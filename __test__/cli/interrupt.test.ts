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
  const interrupt = new Interrupt(source);
  t.false(interrupt.signal.aborted);
  source.emit('SIGINT');
  t.true(interrupt.signal.aborted);
  t.deepEqual(source.exits, []);
  source.emit('SIGINT');
  t.deepEqual(source.exits, [130]);
});

test('after its work, nothing listens any more', (t) => {
  const source = new FakeProcess();
  new Interrupt(source).dispose();
  t.is(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM'), 0);
});
