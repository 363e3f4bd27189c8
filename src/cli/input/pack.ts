/** One piece of a text file, of a size that is worth finding by itself. */
export interface Passage {
  readonly text: string;
  /** The headings or declarations that it stands under, outermost first, joined by ` > `. */
  readonly heading?: string;
  /** The line of the file where it begins, counted from 1. */
  readonly line: number;
}

/** What a passage is filled up to, in UTF-16 code units. */
export const PASSAGE_LENGTH = 800;
/** What a passage never exceeds, its heading aside, in UTF-16 code units. */
export const PASSAGE_LENGTH_MAX = 1600;

/** A part of a file that belongs together: a paragraph, a code block, a declaration. */
export interface Block {
  readonly text: string;
  readonly heading: string;
  readonly line: number;
}

/**
 * Packs blocks that follow one another under one heading into passages of about
 * {@link PASSAGE_LENGTH}, and cuts blocks that are too long at line breaks and spaces.
 */
export function* packBlocks(blocks: Iterable<Block>): Generator<Passage> {
  let open: Block | undefined;
  for (const block of cutLongBlocks(blocks)) {
    const joined = open === undefined ? undefined : join(open, block);
    if (joined === undefined && open !== undefined) yield passageOf(open);
    open = joined ?? block;
  }
  if (open !== undefined) yield passageOf(open);
}

function join(open: Block, next: Block): Block | undefined {
  if (open.heading !== next.heading) return undefined;
  if (open.text.length + next.text.length > PASSAGE_LENGTH) return undefined;
  return { ...open, text: `${open.text}\n\n${next.text}` };
}

function passageOf({ text, heading, line }: Block): Passage {
  return heading === '' ? { text, line } : { text: `${heading}\n\n${text}`, heading, line };
}

function* cutLongBlocks(blocks: Iterable<Block>): Generator<Block> {
  for (const block of blocks) {
    let { text, line } = block;
    while (text.length > PASSAGE_LENGTH_MAX) {
      const end = cutPlace(text);
      yield { ...block, text: text.slice(0, end).trimEnd(), line };
      line += countLineBreaks(text.slice(0, end));
      text = text.slice(end);
    }
    if (text.trim() !== '') yield { ...block, text: text.trimEnd(), line };
  }
}

/** Where to end the first passage of a long text: after a line, a sentence, or a word. */
function cutPlace(text: string): number {
  const head = text.slice(0, PASSAGE_LENGTH);
  for (const border of ['\n', '. ', ' ']) {
    const place = head.lastIndexOf(border);
    if (place > PASSAGE_LENGTH / 2) return place + border.length;
  }
  return isLowSurrogate(text.charCodeAt(PASSAGE_LENGTH)) ? PASSAGE_LENGTH - 1 : PASSAGE_LENGTH;
}

function isLowSurrogate(codeUnit: number): boolean {
  return codeUnit >= 0xdc00 && codeUnit <= 0xdfff;
}

function countLineBreaks(text: string): number {
  return text.split('\n').length - 1;
}
