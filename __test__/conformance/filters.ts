import type { Filter, JsonObject } from '../../src/index.js';
import { NAME, row, scenario } from './scenario.js';
import type { OpenSurface } from './surface.js';

const RECORDS: Record<string, JsonObject> = {
  book: { kind: 'book', price: 10, tags: ['old', 'red'], size: { width: 3 } },
  map: { kind: 'map', price: 20.5, tags: [], size: { width: 5 } },
  text: { kind: 'book', price: '10', tags: 'red' },
  bare: {},
  nothing: { kind: null, price: null },
};

const CASES: [Filter, string[]][] = [
  [{}, ['bare', 'book', 'map', 'nothing', 'text']],
  [{ kind: 'book' }, ['book', 'text']],
  [{ price: 10 }, ['book']],
  [{ price: { $eq: '10' } }, ['text']],
  [{ kind: null }, ['nothing']],
  [{ kind: { $exists: true } }, ['book', 'map', 'nothing', 'text']],
  [{ kind: { $exists: false } }, ['bare']],
  [{ kind: { $ne: 'book' } }, ['bare', 'map', 'nothing']],
  [{ price: { $gt: 10 } }, ['map']],
  [{ price: { $gte: 10, $lt: 20 } }, ['book']],
  [{ price: { $lte: 'z' } }, ['text']],
  [{ kind: { $in: ['map', null] } }, ['map', 'nothing']],
  [{ kind: { $nin: ['map', 'book'] } }, ['bare', 'nothing']],
  [{ tags: 'red' }, ['book', 'text']],
  [{ tags: { $ne: 'red' } }, ['bare', 'map', 'nothing']],
  [{ 'size.width': { $gt: 3 } }, ['map']],
  [{ kind: 'book', tags: 'old' }, ['book']],
  [{ $or: [{ kind: 'map' }, { price: '10' }] }, ['map', 'text']],
  [{ $and: [{ kind: 'book' }, { $not: { price: 10 } }] }, ['text']],
  [{ $not: { kind: 'book' } }, ['bare', 'map', 'nothing']],
];

const REFUSED: unknown[] = [
  { kind: { $near: 1 } },
  { $nor: [] },
  { kind: { $in: 'book' } },
  { kind: { $exists: 1 } },
  { $and: {} },
];

/** Conditions on metadata: the same in search, list and count. */
export function filters(open: OpenSurface): void {
  scenario(open, 'filters match the same records wherever they stand', async (t, surface) => {
    await surface.insert(
      NAME,
      Object.entries(RECORDS).map(([id, metadata]) => row(id, metadata)),
    );
    const queries = CASES.map(([filter]) => ({ queryVector: [1, 2], filters: filter }));
    const { batchResults } = await surface.search(NAME, queries);
    for (const [index, [filter, expected]] of CASES.entries()) {
      const title = JSON.stringify(filter);
      const matches = batchResults[index]?.results.map(({ id }) => id).sort();
      t.deepEqual(matches, expected, `search ${title}`);
      const listed = await surface.list(NAME, { filters: filter });
      t.deepEqual(listed.map(({ id }) => id).sort(), expected, `list ${title}`);
      t.is(await surface.count(NAME, filter), expected.length, `count ${title}`);
    }
  });

  scenario(open, 'malformed filters are refused', async (t, surface) => {
    for (const filter of REFUSED as Filter[]) {
      await t.throwsAsync(
        surface.count(NAME, filter),
        { code: 'INVALID_FILTER' },
        JSON.stringify(filter),
      );
    }
  });

  scenario(open, 'a filter that few records pass still fills the limit', async (t, surface) => {
    const rows = Array.from({ length: 2000 }, (_, n) => ({
      id: `id ${n}`,
      data: [Math.cos(n), Math.sin(n)],
      metadata: { rare: n % 400 === 7 },
    }));
    await surface.insert(NAME, rows);
    const { batchResults } = await surface.search(NAME, [
      { queryVector: [-1, 0], filters: { rare: true } },
    ]);
    const found = batchResults[0]?.results.map(({ id }) => id).sort();
    t.deepEqual(found, ['id 1207', 'id 1607', 'id 407', 'id 7', 'id 807']);
  });
}
