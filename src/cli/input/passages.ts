import { cutDeclarations } from './declarations.js';
import { cutMarkdown } from './markdown.js';
import type { Passage } from './pack.js';
import { cutPlainText } from './plain-text.js';

type Cutter = (text: string) => Generator<Passage>;

const CUTTERS: readonly (readonly [RegExp, Cutter])[] = [
  [/\.(md|mdx|markdown)$/i, cutMarkdown],
  [/\.d\.[cm]?ts$/i, cutDeclarations],
  [/\.(txt|rst|adoc|org|text)$/i, cutPlainText],
];

/** Whether a file in a folder is text that is cut into passages, by its name. */
export function isPassageFile(fileName: string): boolean {
  return CUTTERS.some(([pattern]) => pattern.test(fileName));
}

/** Cuts a text file as its name says it is written; an unknown kind as plain text. */
export function cutPassages(fileName: string, text: string): Generator<Passage> {
  const cutter = CUTTERS.find(([pattern]) => pattern.test(fileName))?.[1] ?? cutPlainText;
  return cutter(text.replaceAll('\r\n', '\n').replace(/^\uFEFF/, ''));
}
