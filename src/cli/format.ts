import type { Failure } from '../index.js';

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** A whole number with groups of thousands: `12,345`. */
export function formatCount(value: number): string {
  return grouped.format(value);
}

/** A count with its noun: `1 record`, `2 records`. */
export function formatAmount(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Things per second: `12,345/s`, and `1.5/s` where there are few. */
export function formatRate(perSecond: number): string {
  const digits = perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond);
  return Number.isFinite(perSecond) ? `${digits}/s` : '-';
}

/** Bytes in decimal units: `512 B`, `1.5 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A span of time with about three digits: `0.42 ms`, `12.3 ms`, `4.56 s`, `2 min 05 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const rest = String(Math.round(seconds) % 60).padStart(2, '0');
  return `${Math.floor(Math.round(seconds) / 60)} min ${rest} s`;
}

/** Things by name, most first: `INVALID_VECTOR 12, DUPLICATE_ID 3`. */
export function formatTally(tally: ReadonlyMap<string, number>): string {
  return [...tally]
    .sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1))
    .map(([name, count]) => `${name} ${formatCount(count)}`)
    .join(', ');
}

/** A failure as people read it. */
export function formatFailure({ errorCode, errorMessage }: Failure): string {
  return `${errorCode}: ${errorMessage}`;
}

/** One line of text for a terminal: no line breaks, no control characters, single spaces. */
export function singleLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
}

const WIDE =
  /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /\p{M}/u;

/** How many columns of a terminal a character takes. */
function columnsOf(character: string): number {
  if (NO_WIDTH.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** How many columns of a terminal a text takes. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** The text cut to `width` columns; what was cut ends with `…`. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let used = 1;
  let kept = '';
  for (const character of text) {
    used += columnsOf(character);
    if (used > width) break;
    kept += character;
  }
  return `${kept.trimEnd()}…`;
}

/** The text as lines of at most `width` columns, at most `lines` of them, broken at spaces. */
export function wrap(text: string, width: number, lines: number): string[] {
  const wrapped: string[] = [];
  let rest = singleLine(text);
  while (rest !== '' && wrapped.length < lines) {
    if (wrapped.length === lines - 1) {
      wrapped.push(truncate(rest, width));
      break;
    }
    const end = lineEnd(rest, width);
    wrapped.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return wrapped;
}

/** Where a line of at most `width` columns ends: at the last space, or inside a long word. */
function lineEnd(text: string, width: number): number {
  let used = 0;
  let end = 0;
  let space = 0;
  for (const character of text) {
    used += columnsOf(character);
    if (used > width) return space > 0 ? space : Math.max(end, character.length);
    end += character.length;
    if (character === ' ') space = end;
    else if (end === text.length) return end;
  }
  return end;
}

/** Rows of cells as lines, each column as wide as its widest cell; numbers stand right. */
export function formatTable(rows: readonly (readonly (string | number)[])[]): string[] {
  const texts = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? formatCount(cell) : cell)),
  );
  const widths: number[] = [];
  for (const row of texts) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, displayWidth(cell));
    });
  }
  return texts.map((row, r) =>
    row
      .map((cell, i) => {
        const padding = ' '.repeat((widths[i] as number) - displayWidth(cell));
        return typeof rows[r]?.[i] === 'number' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}
