import {
  formatAmount,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatTally,
} from './format.js';
import type { LoadSummary } from './load.js';

/** What the summary says beside the counts. */
export interface SummaryContext {
  readonly durability: 'always' | 'interval' | 'never';
  readonly failures?: string | undefined;
}

const DURABILITY_MEANS = {
  always: 'each batch was on the disk when it was acknowledged',
  interval: 'the disk follows a moment later',
  never: 'the operating system decides when it reaches the disk',
};

/** The summary for people. */
export function summaryLines(summary: LoadSummary, context: SummaryContext): string[] {
  const { inserted, skipped, unchanged, failed, elapsedMs, bytes, batches } = summary;
  const rate = formatRate((inserted / elapsedMs) * 1000);
  const { durability } = context;
  return [
    `Imported ${formatAmount(inserted, 'record')} in ${formatDuration(elapsedMs)}: ${rate}`,
    `  read        ${formatBytes(bytes)} in ${formatAmount(batches, 'batch').replace(/hs$/, 'hes')}`,
    ...(unchanged > 0 ? [`  unchanged   ${formatCount(unchanged)}`] : []),
    ...(skipped > 0 ? [`  skipped     ${formatCount(skipped)}`] : []),
    ...(failed > 0
      ? [`  failed      ${formatCount(failed)}: ${formatTally(summary.failures)}`]
      : []),
    ...(failed > 0 ? [`              ${whereFailuresAre(context)}`] : []),
    ...(summary.stoppedBy === undefined ? [] : [`  stopped     ${summary.stoppedBy.message}`]),
    `  durability  ${durability}: ${DURABILITY_MEANS[durability]}`,
  ];
}

function whereFailuresAre({ failures }: SummaryContext): string {
  return failures === undefined
    ? 'use --failures <file> to keep the failed operations'
    : `the failed operations are in ${failures}; import that file to try them again`;
}

/** The summary for programs. */
export function summaryDocument(summary: LoadSummary, context: SummaryContext): object {
  const { inserted, skipped, unchanged, failed, failures, bytes, batches, elapsedMs } = summary;
  return {
    inserted,
    skipped,
    unchanged,
    failed,
    failures: Object.fromEntries(failures),
    bytes: Math.round(bytes),
    batches,
    elapsedMs,
    ratePerS: (inserted / elapsedMs) * 1000,
    durability: context.durability,
    ...(context.failures === undefined || failed === 0 ? {} : { failuresFile: context.failures }),
    ...(summary.stoppedBy === undefined ? {} : { stoppedBy: summary.stoppedBy.message }),
  };
}
