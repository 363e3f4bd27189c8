import test from 'ava';
import { VolleyError } from '../src/errors.js';
import {
  INSERT_OPTIONS,
  SEARCH_OPTIONS,
  take,
  takeListLimit,
  takeOnError,
} from '../src/options.js';

test('options get their wire names; what is undefined or stays here is left out', (t) => {
  const options = {
    atomic: false,
    batchSizeLimit: 10,
    idempotencyKey: 'k',
    onConflict: 'skip',
    onError: 'collect',
    waitFor: undefined,
  };
  t.deepEqual(take('insert', options, INSERT_OPTIONS), {
    atomic: false,
    batch_size_limit: 10,
    idempotency_key: 'k',
    on_conflict: 'skip',
  });
});

test("the keys of a filter are the caller's and stay as they are", (t) => {
  const filters = { someField: { $in: [1, 2] } };
  t.deepEqual(take('search', { filters, efSearch: 64 }, SEARCH_OPTIONS), {
    filters,
    ef_search: 64,
  });
});

test('an unknown option is refused by name, with the names that are known', (t) => {
  const error = t.throws(() => take('insert', { atomc: true }, INSERT_OPTIONS), {
    instanceOf: VolleyError,
    message: /"atomc".*atomic/,
  });
  t.is(error?.code, 'INVALID_ARGUMENT');
  t.deepEqual(error?.details, { field: 'atomc' });
});

for (const options of [null, 'atomic', [], 7]) {
  test(`options that are ${JSON.stringify(options)} are refused`, (t) => {
    const error = t.throws(() => take('insert', options as object, INSERT_OPTIONS), {
      instanceOf: VolleyError,
    });
    t.is(error?.code, 'INVALID_ARGUMENT');
  });
}

test('values that JSON would change are refused', (t) => {
  const codeOf = (options: object) =>
    t.throws(() => take('search', options, SEARCH_OPTIONS), { instanceOf: VolleyError })?.code;
  t.is(codeOf({ threshold: Number.NaN }), 'INVALID_ARGUMENT');
  t.is(codeOf({ filters: { a: '\ud800' } }), 'INVALID_FILTER');
  t.is(codeOf({ filters: { a: 1n } }), 'INVALID_FILTER');
});

test('onError and the limit of a list are judged here', (t) => {
  t.is(takeOnError({}), 'throw');
  t.is(takeOnError({ onError: 'collect' }), 'collect');
  t.throws(() => takeOnError({ onError: 'ignore' }), { message: /onError/ });
  t.is(takeListLimit({}), undefined);
  t.is(takeListLimit({ limit: 3 }), 3);
  for (const limit of [0, -1, 1.5, '3', Number.NaN]) {
    t.throws(() => takeListLimit({ limit }), { message: /limit/ });
  }
});
