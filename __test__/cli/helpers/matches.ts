import type { Match, QueryResult } from '../../../src/index.js';

/** An answer with two matches; the first one is changed as asked. */
export function matchesForTest(first: Partial<Match> = {}): QueryResult {
  return {
    queryId: 'query_1',
    queryTimeMs: 1.5,
    status: 'success',
    results: [
      {
        id: 'docs/a.md#0',
        score: 0.875,
        text: 'Some text\non two lines',
        metadata: { path: 'docs/a.md', tags: ['x'] },
        ...first,
      },
      { id: 'b', score: -0.25 },
    ],
  };
}
