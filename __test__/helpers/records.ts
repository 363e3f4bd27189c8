import type { VectorRecord } from '../../src/index.js';

/** Records without their versions, to be compared with what was written. */
export function plain<Metadata extends object>(
  records: readonly (VectorRecord<Metadata> | null)[],
): (VectorRecord<Metadata> | null)[] {
  return records.map((record) => {
    if (record === null) return null;
    const { version: _, ...rest } = record;
    return rest as VectorRecord<Metadata>;
  });
}
