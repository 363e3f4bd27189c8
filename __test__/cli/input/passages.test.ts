import test from 'ava';
import fc from 'fast-check';
import { PASSAGE_LENGTH_MAX } from '../../../src/cli/input/pack.js';
import { cutPassages, isPassageFile } from '../../../src/cli/input/passages.js';

const cut = (name: string, text: string) => [...cutPassages(name, text)];

test('files are known by their names', (t) => {
  for (const name of ['a.md', 'A.MDX', 'a.txt', 'a.rst', 'a.d.ts', 'a.d.mts', 'a.d.cts']) {
    t.true(isPassageFile(name), name);
  }
  for (const name of ['a.ts', 'a.js', 'md', 'a.md.gz', 'd.ts']) t.false(isPassageFile(name), name);
});

test('Markdown is cut at headings, which passages bear', (t) => {
  const text = `---
title: front matter
---
intro

# Guide *to* [things](x)

one

two

## Install

\`\`\`sh
# no heading

npm install
\`\`\`

Usage
-----

last`;
  t.deepEqual(cut('a.md', text), [
    { text: 'intro', line: 4 },
    { text: 'Guide to things\n\none\n\ntwo', heading: 'Guide to things', line: 8 },
    {
      text: 'Guide to things > Install\n\n```sh\n# no heading\n\nnpm install\n```',
      heading: 'Guide to things > Install',
      line: 14,
    },
    {
      text: 'Guide to things > Usage\n\nlast',
      heading: 'Guide to things > Usage',
      line: 23,
    },
  ]);
});

test('a deeper heading without one above it, and a fence that is never closed', (t) => {
  const passages = cut('a.md', '### Deep\n\ntext\n\n```\n# code\n\nmore');
  t.deepEqual(passages, [
    { text: 'Deep\n\ntext\n\n```\n# code\n\nmore', heading: 'Deep', line: 3 },
  ]);
});

test('Windows line breaks make no difference', (t) => {
  const text = '# A\n\nb\n\n# C\n\nd\n';
  t.deepEqual(cut('a.md', text.replaceAll('\n', '\r\n')), cut('a.md', text));
});

test('short paragraphs share a passage, a long one is cut at sentences', (t) => {
  const sentence = `${'word '.repeat(30).trim()}. `;
  const passages = cut('a.txt', `short\n\nalso short\n\n${sentence.repeat(30)}`);
  t.true(passages[0]?.text.startsWith('short\n\nalso short'));
  t.true(passages.length >= 4);
  for (const { text } of passages) t.regex(text, /\.$/);
});

test('no passage is too long and no word is lost', (t) => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    fc.string({ unit: 'grapheme', minLength: 1500, maxLength: 2500 }),
    fc.constantFrom('\n', '\n\n', '# ', '\n# a\n', '```\n', '/**', '*/', '{', '}', ';', '"', '`'),
  );
  const squeeze = (text: string) => text.replace(/\s+/g, '');
  const property = fc.property(fc.array(word, { maxLength: 60 }), (words) => {
    const text = words.join(' ');
    for (const name of ['a.md', 'a.txt', 'a.d.ts']) {
      for (const passage of cut(name, text)) {
        const body = passage.text.slice((passage.heading ?? '').length);
        if (body.length > PASSAGE_LENGTH_MAX + 2 || passage.text.trim() === '') return false;
        if (passage.line < 1 || passage.line > text.split('\n').length) return false;
      }
    }
    const kept = cut('a.txt', text).map((passage) => squeeze(passage.text));
    return kept.join('') === squeeze(text.replace(/^\uFEFF/, ''));
  });
  t.notThrows(() => fc.assert(property));
});

test('declarations are cut with their doc comments', (t) => {
  const text = `/*! licence */

import { a } from './a.js';
/// <reference types="node" />

/**
 * Adds two numbers.
 * @returns The sum.
 */
export declare function add(a: number, b: number): number;

// about the next one
export type Name = string;
export * from './b.js';
`;
  t.deepEqual(cut('a.d.ts', text), [
    {
      text: `Adds two numbers.
@returns The sum.
export declare function add(a: number, b: number): number;

about the next one
export type Name = string;`,
      line: 6,
    },
  ]);
});

test('a long interface is cut into its members under its name', (t) => {
  const member = (name: string) =>
    `        /** Says ${name}. ${'It is a long story. '.repeat(30)}*/\n        ${name}(a: {}): "}";\n`;
  const text = `declare module "things" {
    /** Many things. */
    interface Things {
${member('first')}${member('second')}    }
    const last: number;
}
`;
  const passages = cut('a.d.ts', text);
  t.deepEqual(
    passages.map(({ heading, line }) => ({ heading, line })),
    [
      { heading: undefined, line: 1 },
      { heading: 'module "things"', line: 2 },
      { heading: 'module "things" > interface Things', line: 4 },
      { heading: 'module "things" > interface Things', line: 6 },
      { heading: 'module "things"', line: 9 },
    ],
  );
  t.regex(passages[2]?.text ?? '', /^module "things" > interface Things\n\nSays first\./);
  t.regex(passages[3]?.text ?? '', /\nsecond\(a: \{\}\): "\}";$/);
});

test('declarations that are not closed, or closed too often, are still cut', (t) => {
  t.deepEqual(cut('a.d.ts', 'interface A { a: string;\n/** b */ b'), [
    { text: 'interface A { a: string;\n/** b */ b', line: 1 },
  ]);
  t.deepEqual(cut('a.d.ts', '}\n}\ndeclare const a: 1;'), [
    { text: 'declare const a: 1;', line: 3 },
  ]);
});

test('a heading keeps the words of links and drops images', (t) => {
  const badge = '[![npm](https://img.shields.io/x.svg)](https://npmjs.com/x)';
  const passages = cut('a.md', `# The *name* ${badge} [![a][b]][c] [site][d]\n\ntext`);
  t.is(passages[0]?.heading, 'The name site');
});
