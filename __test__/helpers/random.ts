/** Numbers from 0 (included) to 1 (excluded) that a seed determines (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` vectors end to end, each number from -1 to 1. */
export function randomVectors(count: number, dimension: number, seed: number): Float32Array {
  const random = seeded(seed);
  return Float32Array.from({ length: count * dimension }, () => random() * 2 - 1);
}
