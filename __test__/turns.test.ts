import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { Turns } from '../src/native/turns.js';

test('one caller goes on in each turn of the event loop, in the order in which they came', async (t) => {
  const turns = new Turns();
  const seen: string[] = [];
  const callers = ['a', 'b', 'c'].map(async (name) => {
    await turns.next();
    seen.push(name);
  });
  await Promise.resolve();
  await Promise.resolve();
  t.deepEqual(seen, ['a']);
  const counts: number[] = [];
  while (seen.length < 3) {
    await setImmediate();
    counts.push(seen.length);
  }
  t.deepEqual(seen, ['a', 'b', 'c']);
  t.true(counts.every((count, index) => count - (counts[index - 1] ?? 1) <= 1));
  await Promise.all(callers);
});

test('who comes alone does not wait', async (t) => {
  const turns = new Turns();
  for (let round = 0; round < 3; round++) {
    let went = false;
    const caller = turns.next().then(() => {
      went = true;
    });
    await Promise.resolve();
    await Promise.resolve();
    t.true(went);
    await caller;
    // Its turn and the one that finds nobody waiting.
    await setImmediate();
    await setImmediate();
  }
});
