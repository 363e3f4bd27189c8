import type { JsonObject, Match, QueryResult } from '../index.js';
import { formatDuration, formatFailure, singleLine, truncate, wrap } from './format.js';
import type { Terminal } from './terminal.js';

const SNIPPET_LINES = 2;
const INDENT = ' '.repeat(13);

/** A question and its matches as lines: rank, score, id, a piece of the text, the metadata. */
export function answerLines(title: string, answer: QueryResult, terminal: Terminal): string[] {
  const { results, error, queryTimeMs } = answer;
  const time = terminal.style('dim', formatDuration(queryTimeMs));
  const heading = `${terminal.style('bold', truncate(singleLine(title), terminal.columns - 12))}  ${time}`;
  if (error !== undefined) return [heading, `  ${terminal.style('red', formatFailure(error))}`];
  if (results.length === 0) return [heading, '  no match'];
  return [heading, ...results.flatMap((match, i) => matchLines(i + 1, match, terminal))];
}

function matchLines(rank: number, match: Match, terminal: Terminal): string[] {
  const width = terminal.columns - INDENT.length;
  const score = terminal.style('cyan', formatScore(match.score));
  const lines = [
    `${String(rank).padStart(3)}  ${score}  ${truncate(singleLine(match.id), width)}`,
    ...wrap(match.text ?? '', width, SNIPPET_LINES).map((line) => INDENT + line),
  ];
  const metadata = truncate(describeMetadata(match.metadata ?? {}), width);
  return metadata === '' ? lines : [...lines, INDENT + terminal.style('dim', metadata)];
}

/** A score in six columns. */
export function formatScore(score: number): string {
  const text = Math.abs(score) < 100 ? score.toFixed(3) : score.toPrecision(4);
  return text.padStart(6);
}

/** Metadata on one line: `path: a.md  line: 3`. */
function describeMetadata(metadata: JsonObject): string {
  return Object.entries(metadata)
    .map(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return `${singleLine(key)}: ${singleLine(text)}`;
    })
    .join('  ');
}
