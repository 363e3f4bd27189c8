/**
 * A process that does nothing but open a store: how long that takes, and the anonymous memory
 * that its records then take. Run by main.ts with the store's folder and a collection's name;
 * writes one line of JSON.
 */
import { open } from '../src/index.js';
import { anonymousMemory } from './machine.js';

const [folder = '', name = ''] = process.argv.slice(2);
globalThis.gc?.();
const before = anonymousMemory();
const began = performance.now();
const store = await open(folder);
const collection = await store.collection(name);
const count = await collection.count();
const seconds = (performance.now() - began) / 1000;
globalThis.gc?.();
const after = anonymousMemory();
const bytes = before === undefined || after === undefined ? null : after - before;
process.stdout.write(`${JSON.stringify({ seconds, count, bytes })}\n`);
await store.close();
