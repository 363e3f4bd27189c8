import type { SearchResult } from '../../src/index.js';
import { plain } from '../helpers/records.js';
import { codes, NAME, row, scenario } from './scenario.js';
import type { OpenSurface } from './surface.js';

const CORNERS = [
  { id: 'east', data: [1, 0] },
  { id: 'north', data: [0, 1] },
  { id: 'northeast', data: [1, 1] },
  { id: 'west', data: [-2, 0] },
];

const ids = ({ batchResults }: SearchResult, query = 0): string[] =>
  (batchResults[query]?.results ?? []).map(({ id }) => id);

/** Search, get, list and count. */
export function reads(open: OpenSurface): void {
  searches(open);
  scores(open);
  records(open);
}

function searches(open: OpenSurface): void {
  scenario(open, 'matches come nearest first, ties by id', async (t, surface) => {
    await surface.insert(NAME, CORNERS);
    const result = await surface.search(NAME, [{ queryVector: [1, 0] }, { queryVector: [1, 1] }]);
    t.like(result, { status: 'success', totalQueries: 2, successfulQueries: 2, failedQueries: 0 });
    t.deepEqual(ids(result, 0), ['east', 'northeast', 'north', 'west']);
    t.deepEqual(ids(result, 1), ['northeast', 'east', 'north', 'west']);
    t.deepEqual(
      result.batchResults.map(({ queryId }) => queryId),
      ['query_1', 'query_2'],
    );
  });

  scenario(open, 'limit and threshold hold per query, else from the batch', async (t, surface) => {
    await surface.insert(NAME, CORNERS);
    const queryVector = [1, 0];
    const result = await surface.search(
      NAME,
      [{ queryVector }, { queryVector, limit: 1, queryId: 'one' }, { queryVector, threshold: -1 }],
      { threshold: 0.5, limit: 9 },
    );
    t.deepEqual(ids(result, 0), ['east', 'northeast']);
    t.deepEqual(ids(result, 1), ['east']);
    t.is(ids(result, 2).length, 4);
    t.is(result.batchResults[1]?.queryId, 'one');
  });

  scenario(open, 'a match carries what was asked for', async (t, surface) => {
    await surface.insert(NAME, [{ id: 'a', data: [0.1, -0.7], text: 't', metadata: { n: 1 } }]);
    const queryVector = [0.1, -0.7];
    const result = await surface.search(NAME, [
      { queryVector },
      { queryVector, include: [] },
      { queryVector, include: ['data'] },
    ]);
    const [all, none, data] = result.batchResults.map(({ results }) => results[0]);
    t.like(all, { id: 'a', text: 't', metadata: { n: 1 } });
    t.is(all?.data, undefined);
    t.like(none, { id: 'a', data: undefined, text: undefined, metadata: undefined });
    t.deepEqual([...(data?.data ?? [])], [Math.fround(0.1), Math.fround(-0.7)]);
  });

  scenario(open, 'a bad query fails alone', async (t, surface) => {
    await surface.insert(NAME, CORNERS);
    const queries = [
      { queryVector: [1, 0] },
      { queryVector: [1, 0, 0] },
      { queryVector: [1, 0], limit: 1001 },
      { queryVector: [1, 0], filters: { a: { $near: 1 } as never } },
    ];
    const result = await surface.search(NAME, queries);
    t.like(result, { status: 'partial', successfulQueries: 1, failedQueries: 3 });
    t.is(ids(result, 0).length, 4);
    t.is(result.batchResults[1]?.error?.errorCode, 'DIMENSION_MISMATCH');
    t.deepEqual(codes(result.errors), [
      [1, 'DIMENSION_MISMATCH'],
      [2, 'INVALID_QUERY'],
      [3, 'INVALID_FILTER'],
    ]);
  });

  scenario(open, 'an atomic search fails as a whole', async (t, surface) => {
    await surface.insert(NAME, CORNERS);
    const queries = [{ queryVector: [1, 0] }, { queryVector: [1] }];
    const result = await surface.search(NAME, queries, { atomic: true });
    t.like(result, { status: 'failed', successfulQueries: 0, failedQueries: 2 });
    t.deepEqual(codes(result.errors), [
      [0, 'BATCH_ABORTED'],
      [1, 'DIMENSION_MISMATCH'],
    ]);
  });

  scenario(open, 'a search of an empty collection finds nothing', async (t, surface) => {
    const result = await surface.search(NAME, [{ queryVector: [1, 0] }]);
    t.is(result.status, 'success');
    t.deepEqual(ids(result), []);
  });
}

function scores(open: OpenSurface): void {
  const expected = {
    cosine: [1, 0, Math.SQRT1_2, -1],
    euclidean: [1 / 2, 1 / (1 + Math.sqrt(5)), 1 / (1 + Math.SQRT2), 1 / 5],
    dot_product: [2, 0, 2, -4],
  } as const;
  for (const metric of ['cosine', 'euclidean', 'dot_product'] as const) {
    scenario(
      open,
      `the score of ${metric}`,
      async (t, surface) => {
        await surface.insert(NAME, CORNERS);
        const { batchResults } = await surface.search(NAME, [{ queryVector: [2, 0] }]);
        for (const { id, score } of batchResults[0]?.results ?? []) {
          const wanted = expected[metric][CORNERS.findIndex((corner) => corner.id === id)] ?? 0;
          t.true(Math.abs(score - wanted) < 1e-5, `${id}: ${score}, not ${wanted}`);
        }
        t.is(batchResults[0]?.results.length, CORNERS.length);
      },
      { dimension: 2, metric },
    );
  }
}

function records(open: OpenSurface): void {
  scenario(open, 'get keeps the order of the ids', async (t, surface) => {
    await surface.insert(NAME, [row('a', { n: 1 }), row('b', { n: 2 })]);
    const found = await surface.get(NAME, ['b', 'none', 'a', 'b'], []);
    t.deepEqual(plain(found), [{ id: 'b' }, null, { id: 'a' }, { id: 'b' }]);
  });

  scenario(open, 'list yields every record once, over all pages', async (t, surface) => {
    const all = Array.from({ length: 2500 }, (_, n) => row(`id ${n}`, { even: n % 2 === 0 }));
    await surface.insert(NAME, all);
    const listed = await surface.list(NAME, { include: [] });
    t.deepEqual(listed.map(({ id }) => id).sort(), all.map(({ id }) => id).sort());
    t.is((await surface.list(NAME, { filters: { even: true } })).length, 1250);
    t.is((await surface.list(NAME, { limit: 1700 })).length, 1700);
    t.is(await surface.count(NAME), 2500);
    t.is(await surface.count(NAME, { even: false }), 1250);
  });
}
