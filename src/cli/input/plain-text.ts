import { type Block, type Passage, packBlocks } from './pack.js';

/** Cuts plain text at blank lines. */
export function* cutPlainText(text: string): Generator<Passage> {
  yield* packBlocks(paragraphs(text));
}

function* paragraphs(text: string): Generator<Block> {
  let lines: string[] = [];
  let line = 0;
  for (const current of [...text.split('\n'), '']) {
    line += 1;
    if (current.trim() !== '') {
      lines.push(current);
    } else if (lines.length > 0) {
      yield { text: lines.join('\n'), heading: '', line: line - lines.length };
      lines = [];
    }
  }
}
