import { type Block, PASSAGE_LENGTH, type Passage, packBlocks } from './pack.js';

/**
 * Cuts TypeScript declarations (`.d.ts`) into declarations with their doc comments.
 *
 * A namespace, interface or class that is too long for one passage is cut into its members, which
 * bear its name as their heading. Imports, re-exports and licence comments are left out.
 */
export function* cutDeclarations(text: string): Generator<Passage> {
  const lines = scanLines(text.split('\n'));
  yield* packBlocks(cutScope({ lines, from: 0, to: lines.length, heading: '' }));
}

interface Line {
  readonly text: string;
  /** The line without comments and what stands in quotes. */
  readonly code: string;
  /** How many brackets are open where the line ends. */
  readonly depth: number;
  /** Whether the line ends inside a block comment. */
  readonly inComment: boolean;
}

interface Scope {
  readonly lines: readonly Line[];
  /** The first line of the scope, and the line after its last one. */
  readonly from: number;
  readonly to: number;
  readonly heading: string;
}

function* cutScope({ lines, from, to, heading }: Scope): Generator<Block> {
  const depth = depthBefore(lines, from);
  let first = from;
  for (let i = from; i < to; i += 1) {
    if (!endsDeclaration(lines, { first, last: i, depth })) continue;
    yield* cutDeclaration({ lines, from: first, to: i + 1, heading });
    first = i + 1;
  }
  yield* cutDeclaration({ lines, from: first, to, heading });
}

function depthBefore(lines: readonly Line[], place: number): number {
  return lines[place - 1]?.depth ?? 0;
}

interface Candidate {
  readonly first: number;
  readonly last: number;
  readonly depth: number;
}

/** Whether the declaration that begins at `first` ends with the line `last`. */
function endsDeclaration(lines: readonly Line[], { first, last, depth }: Candidate): boolean {
  const line = lines[last] as Line;
  if (line.inComment || line.depth !== depth) return false;
  if (/[;},]$/.test(line.code)) return true;
  const next = lines[last + 1]?.text.trim() ?? '';
  if (next === '') return true;
  const hasCode = lines.slice(first, last + 1).some(({ code }) => code !== '');
  return hasCode && next.startsWith('/**');
}

function* cutDeclaration(scope: Scope): Generator<Block> {
  const { lines, heading } = scope;
  const from = skipBlankLines(scope);
  const to = scope.to;
  if (from === to) return;
  const own = lines.slice(from, to);
  if (isNotWorthFinding(own)) return;
  const length = own.reduce((sum, line) => sum + line.text.length + 1, 0);
  const body = length > PASSAGE_LENGTH ? bodyOf({ ...scope, from }) : undefined;
  if (body === undefined) {
    yield { text: readable(own), heading, line: from + 1 };
    return;
  }
  yield { text: readable(lines.slice(from, body.from)), heading, line: from + 1 };
  yield* cutScope(body);
}

function skipBlankLines({ lines, from, to }: Scope): number {
  let first = from;
  while (first < to && lines[first]?.text.trim() === '') first += 1;
  return first;
}

function isNotWorthFinding(lines: readonly Line[]): boolean {
  const code = lines.find((line) => line.code !== '')?.code;
  if (code === undefined) return !lines[0]?.text.trim().startsWith('/**');
  if (/^(import\b|export\s*(type\s*)?[*{])/.test(code)) return true;
  return lines.every((line) => /^[})\]]*[;,]?$/.test(line.code));
}

const NAME =
  /\b(namespace|module|interface|class|enum|type|const|let|var)\s+("[^"]*"|'[^']*'|[\w$.]+)/;

/** The lines between a declaration's braces; absent where it has no name or no such lines. */
function bodyOf({ lines, from, to, heading }: Scope): Scope | undefined {
  const depth = depthBefore(lines, from);
  let opening = from;
  while (opening < to && (lines[opening] as Line).depth === depth) opening += 1;
  if (opening + 1 >= to || !lines[opening]?.code.endsWith('{')) return undefined;
  if (!lines[to - 1]?.code.startsWith('}')) return undefined;
  const header = lines.slice(from, opening + 1).find(({ code }) => code !== '')?.text ?? '';
  const title = titleOf(header);
  if (title === undefined) return undefined;
  const path = heading === '' ? title : `${heading} > ${title}`;
  return { lines, from: opening + 1, to: to - 1, heading: path };
}

/** A declaration's kind and name: `interface Stats`. */
function titleOf(header: string): string | undefined {
  const [, kind, name] = NAME.exec(header) ?? [];
  if (kind !== undefined) return `${kind} ${name}`;
  return /^\s*(declare\s+)?global\s*\{/.test(header) ? 'global' : undefined;
}

/** The lines without their common indentation, and comments without their frame. */
function readable(lines: readonly Line[]): string {
  const kept = lines.filter(({ text }) => !/^\s*(\/\/\/.*|\/\*\*+|\*+\/)$/.test(text));
  const code = kept.filter((line) => line.code !== '');
  const indents = code.map(({ text }) => text.length - text.trimStart().length);
  const indent = Math.min(...indents, 80);
  return kept
    .map((line) => (line.code === '' ? withoutFrame(line.text) : line.text.slice(indent).trimEnd()))
    .join('\n')
    .trim();
}

function withoutFrame(comment: string): string {
  return comment
    .trim()
    .replace(/^\/\*\*?!?\s?/, '')
    .replace(/\s*\*\/$/, '')
    .replace(/^\*\s?/, '')
    .replace(/^\/\/\s?/, '')
    .trimEnd();
}

/** Tells code from comments and quotes, and counts open brackets. */
function scanLines(texts: readonly string[]): Line[] {
  const state = { depth: 0, inComment: false, quote: '' };
  return texts.map((text) => {
    const code = scanLine(text, state);
    return { text, code, depth: state.depth, inComment: state.inComment };
  });
}

interface ScanState {
  depth: number;
  inComment: boolean;
  /** The open quote, where one is open. */
  quote: string;
}

const NEXT_MARK = /\/\/|\/\*|[()[\]{}'"`]/g;

/** Takes one line into the state; returns its code. */
function scanLine(text: string, state: ScanState): string {
  let code = '';
  let place = 0;
  if (state.quote !== '`') state.quote = '';
  while (place < text.length) {
    if (state.inComment || state.quote !== '') {
      place = skipTo(text, place, state);
      continue;
    }
    NEXT_MARK.lastIndex = place;
    const found = NEXT_MARK.exec(text);
    const end = found?.index ?? text.length;
    code += text.slice(place, end);
    const mark = found?.[0] ?? '';
    if (mark === '' || mark === '//') break;
    place = end + mark.length;
    if (mark === '/*') {
      state.inComment = true;
      continue;
    }
    code += mark;
    if ('([{'.includes(mark)) state.depth += 1;
    else if (')]}'.includes(mark)) state.depth = Math.max(0, state.depth - 1);
    else state.quote = mark;
  }
  return code.trim();
}

/** The place after the comment or the quotation that is open at `place`. */
function skipTo(text: string, place: number, state: ScanState): number {
  if (state.inComment) {
    const end = text.indexOf('*/', place);
    state.inComment = end < 0;
    return end < 0 ? text.length : end + 2;
  }
  for (let i = place; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === state.quote) {
      state.quote = '';
      return i + 1;
    }
  }
  return text.length;
}
