import type { Match, QueryResult } from '../../index.js';
import {
  formatDuration,
  formatFailure,
  formatRate,
  singleLine,
  truncate,
  wrap,
} from '../format.js';
import { formatScore } from '../matches.js';
import type { Terminal } from '../terminal.js';
import type { Comparison } from './compare.js';

const INDENT = ' '.repeat(10);

/** A question with its matches, two lines each: where it stands, and how it begins. */
export function questionLines(
  question: string,
  { results, error }: QueryResult,
  terminal: Terminal,
): string[] {
  const title = `  ${terminal.style('bold', question)}`;
  if (error !== undefined) return [title, `    ${formatFailure(error)}`];
  return [title, ...results.flatMap((match) => matchLines(match, terminal))];
}

function matchLines({ score, text, metadata }: Match, terminal: Terminal): string[] {
  const width = terminal.columns - INDENT.length;
  const place = `${metadata?.path}:${metadata?.line}`.replace(/^(.*\/)?node_modules\//, '');
  const heading = typeof metadata?.heading === 'string' ? metadata.heading : '';
  const body = (text ?? '').slice(heading.length);
  const snippet = wrap(body, width, 1).map((line) => INDENT + terminal.style('dim', line));
  const title = truncate(`${place}  ${singleLine(heading)}`.trimEnd(), width);
  return [`  ${terminal.style('cyan', formatScore(score))}  ${title}`, ...snippet];
}

/** One row of the comparison for people. */
export interface ComparedWork {
  readonly name: string;
  readonly comparison: Comparison;
}

/** The comparison as a table: time and rate both ways, and how many times faster the batch is. */
export function comparisonLines(works: readonly ComparedWork[], terminal: Terminal): string[] {
  const head = ['', 'one at a time', '', 'in one batch', '', 'faster'];
  const rows = works.map(({ name, comparison: { count, singleMs, batchMs } }) => [
    name,
    formatDuration(singleMs),
    formatRate((count / singleMs) * 1000),
    formatDuration(batchMs),
    formatRate((count / batchMs) * 1000),
    `${(singleMs / batchMs).toFixed(1)}x`,
  ]);
  const widths = [0, 1, 2, 3, 4, 5].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const single = (widths[1] ?? 0) + (widths[2] ?? 0) + 2;
  const batch = (widths[3] ?? 0) + (widths[4] ?? 0) + 2;
  const title = [
    ' '.repeat(widths[0] ?? 0),
    (head[1] ?? '').padStart(single),
    (head[3] ?? '').padStart(batch),
    head[5] ?? '',
  ];
  return [
    terminal.style('dim', `  ${title.join('   ')}`),
    ...rows.map((row) => {
      const cells = row.map((cell, i) =>
        (i === 0 ? cell.padEnd : cell.padStart).call(cell, widths[i] ?? 0),
      );
      const [name, singleTime, singleRate, batchTime, batchRate, ratio] = cells;
      const both = `${singleTime}  ${singleRate}   ${batchTime}  ${batchRate}`;
      return `  ${name}   ${both}   ${terminal.style('green', ratio ?? '')}`;
    }),
  ];
}
