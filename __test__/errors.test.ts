import { readFileSync } from 'node:fs';
import test from 'ava';
import { replyError } from '../src/decode.js';
import { BatchError, batchError, ERROR_CODES, VolleyError } from '../src/errors.js';
import type { InsertResult } from '../src/results.js';

test('the codes are those of the engine, in the same order', (t) => {
  const source = readFileSync(new URL('../native/core/src/error.rs', import.meta.url), 'utf8');
  const codes = [...source.matchAll(/=> "([A-Z_]+)", (?:true|false);/g)].map(([, code]) => code);
  t.deepEqual([...ERROR_CODES] as (string | undefined)[], codes);
});

test('a refused request becomes an error with code, retriable and details', (t) => {
  const error = replyError({
    error_code: 'OVERLOADED',
    error_message: 'the budget is used up',
    retriable: true,
    retry_after_ms: 20,
  });
  t.true(error instanceof VolleyError);
  t.is(error.name, 'VolleyError');
  t.is(error.code, 'OVERLOADED');
  t.is(error.message, 'the budget is used up');
  t.true(error.retriable);
  t.deepEqual(error.details, { retryAfterMs: 20 });
});

test('a code of a later engine is INTERNAL here and kept as a detail', (t) => {
  const error = replyError({ error_code: 'NEW', error_message: 'x', retriable: false });
  t.is(error.code, 'INTERNAL');
  t.deepEqual(error.details, { errorCode: 'NEW' });
});

test('a failed batch is named after its first failure of its own', (t) => {
  const failure = (index: number, errorCode: 'BATCH_ABORTED' | 'INVALID_VECTOR') => ({
    index,
    operationId: `${index}`,
    vectorId: `id ${index}`,
    errorCode,
    errorMessage: 'why',
    retriable: false,
    limit: 3,
  });
  const result: InsertResult = {
    status: 'failed',
    insertedCount: 0,
    failedCount: 2,
    skippedCount: 0,
    unchangedCount: 0,
    errors: [failure(0, 'BATCH_ABORTED'), failure(1, 'INVALID_VECTOR')],
    sequence: 4,
    reached: 'applied',
    replayed: false,
    batchId: 'b',
    processingTimeMs: 1,
  };
  const error = batchError(result, 2);
  t.true(error instanceof BatchError && error instanceof VolleyError);
  t.is(error.name, 'BatchError');
  t.is(error.code, 'INVALID_VECTOR');
  t.deepEqual(error.details, { index: 1, id: 'id 1', limit: 3 });
  t.is(error.result, result);
});
