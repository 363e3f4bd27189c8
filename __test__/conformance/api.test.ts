import { open } from '../../src/index.js';
import { storeSurface } from './store-surface.js';
import { conformance } from './suite.js';

/** The TypeScript API itself, on a store in memory. */
conformance(async () => storeSurface(await open(':memory:')));
