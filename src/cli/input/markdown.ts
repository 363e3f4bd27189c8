import { type Block, type Passage, packBlocks } from './pack.js';

/**
 * Cuts Markdown at its headings and paragraphs.
 *
 * A passage never crosses a heading and bears the headings that it stands under. A `#` inside a
 * fenced code block is no heading; front matter is left out.
 */
export function* cutMarkdown(text: string): Generator<Passage> {
  const blocks = new MarkdownBlocks();
  const lines = text.split('\n');
  const first = frontMatterEnd(lines);
  for (let i = first; i < lines.length; i += 1) {
    yield* packBlocks(blocks.add(lines[i] as string, i + 1));
  }
  yield* packBlocks(blocks.finish());
}

/** The place of the first line after YAML front matter; 0 where there is none. */
function frontMatterEnd(lines: readonly string[]): number {
  if (lines[0]?.trimEnd() !== '---') return 0;
  const end = lines.findIndex((line, i) => i > 0 && line.trimEnd() === '---');
  return end < 0 ? 0 : end + 1;
}

/** Titles are cut here, in UTF-16 code units: every passage below repeats them. */
const TITLE_LENGTH_MAX = 120;

const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;

/** Takes lines one by one and hands out a section's blocks when its heading ends. */
class MarkdownBlocks {
  readonly #headings: string[] = [];
  #blocks: Block[] = [];
  #lines: string[] = [];
  #firstLine = 1;
  #fence: string | undefined;

  /** Takes one line; returns the section before it, where the line begins a new one. */
  add(line: string, number: number): readonly Block[] {
    const fence = FENCE.exec(line)?.[1];
    if (this.#fence !== undefined) {
      this.#push(line, number);
      if (fence !== undefined && closes(this.#fence, fence)) this.#fence = undefined;
      return [];
    }
    if (fence !== undefined) {
      this.#fence = fence;
      this.#push(line, number);
      return [];
    }
    const heading = HEADING.exec(line);
    if (heading !== null) return this.#begin((heading[1] as string).length, heading[2] ?? '');
    const underline = UNDERLINE.exec(line)?.[1];
    if (underline !== undefined && this.#lines.length === 1) {
      const title = this.#lines.pop() as string;
      return this.#begin(underline.startsWith('=') ? 1 : 2, title);
    }
    if (line.trim() === '') this.#endBlock();
    else this.#push(line, number);
    return [];
  }

  /** The last section. */
  finish(): readonly Block[] {
    this.#endBlock();
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks;
  }

  #push(line: string, number: number): void {
    if (this.#lines.length === 0) this.#firstLine = number;
    this.#lines.push(line);
  }

  #endBlock(): void {
    if (this.#lines.length === 0) return;
    const heading = this.#headings.filter((title) => title !== '').join(' > ');
    this.#blocks.push({ text: this.#lines.join('\n'), heading, line: this.#firstLine });
    this.#lines = [];
  }

  #begin(level: number, title: string): readonly Block[] {
    const section = this.finish();
    this.#headings.length = Math.min(this.#headings.length, level - 1);
    while (this.#headings.length < level - 1) this.#headings.push('');
    this.#headings.push(plainTitle(title));
    return section;
  }
}

function closes(open: string, fence: string): boolean {
  return fence[0] === open[0] && fence.length >= open.length;
}

/** A heading without images, links, HTML and marks of emphasis. */
function plainTitle(title: string): string {
  return title
    .replace(/!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g, '')
    .replace(/\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/<[^>]*>/g, '')
    .replace(/[`*]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, TITLE_LENGTH_MAX);
}
