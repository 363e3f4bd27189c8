import type { Filter, SearchQuery } from '../../index.js';
import { type Arguments, UsageError } from '../arguments.js';
import { type Command, EXIT_FAILED, EXIT_OK } from '../command.js';
import { NpyReader } from '../input/npy.js';
import { answerLines } from '../matches.js';
import { COLLECTION_OPTIONS, withCollection } from '../store-access.js';
import type { Terminal } from '../terminal.js';

const LIMIT_DEFAULT = 5;

/** `volley search`: questions to matches. */
export const searchCommand: Command = {
  name: 'search',
  summary: 'ask a collection; many questions are one batch',
  positionals: '<text>...',
  options: {
    ...COLLECTION_OPTIONS,
    limit: { value: 'n', help: `matches per question; default: ${LIMIT_DEFAULT}` },
    filter: { value: 'json', help: 'condition on metadata' },
    threshold: { value: 'score', help: 'least score of a match' },
    vector: { value: 'file', help: '.npy file; each of its rows is a query' },
  },
  examples: [
    'volley search "how to install" --store data --collection docs',
    `volley search "install" "build" --store data --collection docs --filter '{"part": 0}'`,
  ],
  run: runSearch,
};

async function runSearch(args: Arguments, terminal: Terminal): Promise<number> {
  const defaults = {
    limit: args.count('limit', 1) ?? LIMIT_DEFAULT,
    threshold: args.number('threshold'),
    filters: args.jsonObject('filter') as Filter | undefined,
  };
  const queries = await readQueries(args);
  return await withCollection(args, async (collection) => {
    const result = await collection.search(queries, defaults);
    if (args.has('json')) {
      terminal.printJson(result);
    } else {
      result.batchResults.forEach((answer, i) => {
        if (i > 0) terminal.print('');
        terminal.print(...answerLines(titleOf(queries[i]), answer, terminal));
      });
    }
    return result.status === 'success' ? EXIT_OK : EXIT_FAILED;
  });
}

function titleOf(query: SearchQuery | undefined): string {
  return query?.queryText ?? query?.queryId ?? '';
}

async function readQueries(args: Arguments): Promise<SearchQuery[]> {
  const queries: SearchQuery[] = args.positionals.map((queryText) => ({ queryText }));
  const path = args.text('vector');
  if (path !== undefined) {
    const reader = await NpyReader.open(path);
    try {
      for await (const queryVector of reader.rows()) {
        const row = queries.length - args.positionals.length;
        queries.push({ queryVector, queryId: `${path} row ${row}` });
      }
    } finally {
      await reader.close();
    }
  }
  if (queries.length === 0) throw new UsageError('give a text, or --vector');
  return queries;
}
