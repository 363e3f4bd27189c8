import type { Contender } from './engine.js';
import { hnswlibNative } from './engines/hnswlib-native.js';
import { hnswlibNode } from './engines/hnswlib-node.js';
import { lancedb } from './engines/lancedb.js';
import { sqliteVec } from './engines/sqlite-vec.js';
import { usearch } from './engines/usearch.js';
import { volley } from './engines/volley.js';
import { zvec } from './engines/zvec.js';

/** Everything that is compared, in the order in which it takes its turn. */
export const CONTENDERS: readonly Contender[] = [
  volley('always'),
  volley('never'),
  usearch('f32'),
  usearch('bf16'),
  usearch('i8'),
  hnswlibNode,
  hnswlibNative,
  zvec('f32'),
  zvec('INT8'),
  lancedb,
  sqliteVec,
];

/** The contenders whose name contains one of the words of a list such as `volley,zvec INT8`. */
export function contendersOf(list: string | undefined): readonly Contender[] {
  if (list === undefined) return CONTENDERS;
  const words = list.split(',').map((word) => word.trim());
  const unknown = words.find((word) => !CONTENDERS.some(({ name }) => name.includes(word)));
  if (unknown !== undefined) {
    const names = CONTENDERS.map(({ name }) => name).join(', ');
    throw new Error(`--engines: "${unknown}" is none of ${names}`);
  }
  return CONTENDERS.filter(({ name }) => words.some((word) => name.includes(word)));
}
