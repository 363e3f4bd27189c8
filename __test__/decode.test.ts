import test from 'ava';
import { camelDeep, decodeRecords, decodeSearch, decodeWrite } from '../src/decode.js';
import { refusal } from '../src/refusal.js';
import type { InsertResult } from '../src/results.js';

const none = new Map<number, never>();

test('a write reply gets camelCase names', (t) => {
  const result = decodeWrite<InsertResult>(
    {
      inserted_count: 1,
      failed_count: 1,
      errors: [
        {
          operation_id: '1',
          error_code: 'INVALID_ID',
          error_message: 'm',
          vector_id: '',
          index: 1,
        },
      ],
      outcomes: [{ index: 0, id: 'a', status: 'created' }],
      processing_time_ms: 2,
      batch_id: 'b',
    },
    none,
  );
  t.is(result.insertedCount, 1);
  t.is(result.processingTimeMs, 2);
  t.like(result.errors[0], { operationId: '1', errorCode: 'INVALID_ID', index: 1 });
  t.like(result.outcomes?.[0], { id: 'a', status: 'created' });
});

test('a row refused on this side carries the reason found here', (t) => {
  const refused = new Map([[1, refusal('INVALID_METADATA', 'metadata', 'is bad', 'b')]]);
  const wire = { error_code: 'INVALID_ID', error_message: 'no id', retriable: false };
  const result = decodeWrite<InsertResult>(
    {
      errors: [
        { index: 0, error_code: 'BATCH_ABORTED', error_message: 'm', vector_id: 'a' },
        { index: 1, vector_id: null, operation_id: '1', ...wire },
      ],
      outcomes: [
        { index: 0, id: 'a', status: 'failed' },
        { index: 1, id: null, ...wire },
      ],
    },
    refused,
  );
  t.is(result.errors[0]?.errorCode, 'BATCH_ABORTED');
  t.like(result.errors[1], {
    errorCode: 'INVALID_METADATA',
    errorMessage: 'metadata is bad',
    vectorId: 'b',
  });
  t.like(result.outcomes?.[1], { id: 'b', errorCode: 'INVALID_METADATA' });
});

test('metadata is left untouched, numbers become a Float32Array', (t) => {
  const metadata = { snake_case: { inner_key: 1 }, camelCase: null };
  const result = decodeSearch(
    {
      batch_results: [
        {
          query_id: 'q',
          query_time_ms: 1,
          status: 'success',
          results: [{ id: 'a', score: 0.5, metadata, data: [0.1, 0.2] }],
        },
        {
          query_id: 'r',
          status: 'failed',
          results: [],
          error: { error_code: 'INVALID_QUERY', error_message: 'm', retriable: false },
        },
      ],
      errors: [],
      total_queries: 2,
    },
    none,
  );
  const [first, second] = result.batchResults;
  t.is(first?.queryId, 'q');
  t.deepEqual(first?.results[0]?.metadata as unknown, metadata);
  t.deepEqual(first?.results[0]?.data, new Float32Array([0.1, 0.2]));
  t.is(second?.error?.errorCode, 'INVALID_QUERY');
});

test('records that do not exist stay null', (t) => {
  const records = [null, { id: 'a', data: [1] as unknown as Float32Array }];
  decodeRecords(records);
  t.deepEqual(records, [null, { id: 'a', data: new Float32Array([1]) }]);
});

test('names are changed at every depth where all of them are ours', (t) => {
  t.deepEqual(camelDeep({ id_bytes_max: { value: 512 }, list: [{ ef_search: 1 }], m: null }), {
    idBytesMax: { value: 512 },
    list: [{ efSearch: 1 }],
    m: null,
  });
});
