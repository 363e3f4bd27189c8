import test from 'ava';
import { failureLine, type InsertRow, itemOfLine, open } from '../../src/index.js';

test('failed operations are lines that are valid input again', async (t) => {
  await using store = await open(':memory:');
  const collection = await store.createCollection('things', { dimension: 2 });
  await collection.insert([{ id: 'taken', data: [1, 1] }]);
  const rows: InsertRow[] = [
    { id: 'new', data: new Float32Array([1, 2]), metadata: { n: 1 } },
    { id: 'taken', data: new Float32Array([0.1, 2]), text: 'a "text"\n', metadata: { list: [1] } },
    { id: 'short', data: [1] },
  ];
  const lines: string[] = [];
  const onFailure = (failure: Parameters<typeof failureLine>[0]) =>
    void lines.push(failureLine(failure));
  await collection.insertStream(rows, { onFailure }).summary;
  t.is(lines.length, 2);
  const told = lines.map((line) => JSON.parse(line).error);
  t.like(told[0], { errorCode: 'ALREADY_EXISTS', offset: 1 });
  t.like(told[1], { errorCode: 'DIMENSION_MISMATCH', offset: 2, expected: 2, actual: 1 });
  const again = lines.map(itemOfLine) as InsertRow[];
  const summary = await collection.insertStream(again, { onConflict: 'replace' }).summary;
  t.like(summary, { insertedCount: 1, failedCount: 1 });
  const [taken] = await collection.get(['taken'], { include: ['data', 'text', 'metadata'] });
  t.like(taken, { text: 'a "text"\n', metadata: { list: [1] } });
  t.deepEqual(taken?.data, new Float32Array([0.1, 2]));

  const gone: string[] = [];
  await collection.deleteStream(['nobody'], {
    onFailure: (failure) => void gone.push(failureLine(failure)),
  }).summary;
  t.deepEqual(gone.map(itemOfLine), [{ id: 'nobody' }]);
});
