import test from 'ava';
import { parseRow } from '../../../src/cli/input/row.js';

test('a row has id, data, text and metadata; null is the same as absent', (t) => {
  t.deepEqual(parseRow('{"id": "a", "data": [1, 2.5], "text": "t", "metadata": {"k": [1]}}'), {
    id: 'a',
    data: Float32Array.of(1, 2.5),
    text: 't',
    metadata: { k: [1] },
  });
  t.deepEqual(parseRow('{"id": "a", "data": null, "text": null, "metadata": null}'), { id: 'a' });
});

test('the error of a failed operation is left out, so that it can be imported again', (t) => {
  const line = '{"id": "a", "text": "t", "error": {"errorCode": "OVERLOADED"}}';
  t.deepEqual(parseRow(line), { id: 'a', text: 't' });
});

const REFUSED: readonly [line: string, code: string, message: RegExp][] = [
  ['{"id": "a"', 'INVALID_ARGUMENT', /JSON/],
  ['[1, 2]', 'INVALID_ARGUMENT', /a row is a JSON object/],
  ['null', 'INVALID_ARGUMENT', /a row is a JSON object/],
  ['{"id": "a", "vector": [1]}', 'INVALID_ARGUMENT', /field vector is not known/],
  ['{"text": "a"}', 'INVALID_ID', /id is not a string/],
  ['{"id": 7, "text": "a"}', 'INVALID_ID', /id is not a string/],
  ['{"id": "a", "data": "1,2"}', 'INVALID_VECTOR', /list of numbers/],
  ['{"id": "a", "data": [1, null]}', 'INVALID_VECTOR', /list of numbers/],
  ['{"id": "a", "text": 1}', 'INVALID_ARGUMENT', /text is not a string/],
  ['{"id": "a", "text": "t", "metadata": [1]}', 'INVALID_METADATA', /metadata is not an object/],
];

for (const [line, code, message] of REFUSED) {
  test(`refused: ${line}`, (t) => {
    const problem = parseRow(line) as { errorCode: string; errorMessage: string };
    t.is(problem.errorCode, code);
    t.regex(problem.errorMessage, message);
  });
}
