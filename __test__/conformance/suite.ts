import { filters } from './filters.js';
import { reads } from './reads.js';
import type { OpenSurface } from './surface.js';
import { writes } from './writes.js';

/** What every surface promises, as tests of one of them. */
export function conformance(open: OpenSurface): void {
  writes(open);
  reads(open);
  filters(open);
}
