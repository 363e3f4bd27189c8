type Json = Record<string, unknown>;

/** Characters of a result, as JSON, that a model is given at most; about 6,000 tokens. */
export const RESULT_CHARACTERS_MAX = 24_000;

/** Characters of one string that are kept where a result is too long, in steps. */
const TEXT_STEPS = [1000, 300, 100];

/** Lists of a reply that may lose their last elements, and the name of how many they lost. */
const LISTS = ['errors', 'outcomes', 'collections'] as const;

/**
 * A reply cut to a size that a model can read: first long strings are shortened, then numbers of
 * vectors left out, then the lists lose their last elements. `truncated` says what is missing.
 */
export function readable(reply: Json, charactersMax = RESULT_CHARACTERS_MAX): Json {
  let cut = reply;
  if (sizeOf(cut) <= charactersMax) return cut;
  const truncated: Json = { reason: `the whole reply has ${sizeOf(reply)} characters` };
  for (const longest of TEXT_STEPS) {
    cut = { ...(shortened(reply, longest) as Json), truncated };
    truncated.strings_longer_than = longest;
    if (sizeOf(cut) <= charactersMax) return cut;
  }
  truncated.data = 'left out';
  cut = { ...(withoutData(cut) as Json), truncated };
  // Halved until it fits: the sizes of elements differ.
  for (
    let kept = 512;
    kept >= 0 && sizeOf(cut) > charactersMax;
    kept = Math.floor(kept / 2) || -1
  ) {
    cut = { ...firstOf(cut, kept), truncated: { ...truncated, elements_kept_of_each_list: kept } };
  }
  return cut;
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value).length;
}

function shortened(value: unknown, longest: number): unknown {
  if (typeof value === 'string') {
    return value.length <= longest ? value : `${value.slice(0, longest).toWellFormed()}...`;
  }
  if (Array.isArray(value)) return value.map((item) => shortened(item, longest));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, shortened(inner, longest)]);
  return Object.fromEntries(entries);
}

function withoutData(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutData);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name, inner]) => name !== 'data' || !Array.isArray(inner))
    .map(([name, inner]) => [name, withoutData(inner)]);
  return Object.fromEntries(entries);
}

function firstOf(reply: Json, kept: number): Json {
  const cut: Json = { ...reply };
  for (const name of LISTS) {
    const list = cut[name];
    if (Array.isArray(list)) cut[name] = list.slice(0, kept);
  }
  if (Array.isArray(cut.batch_results)) {
    cut.batch_results = (cut.batch_results as Json[]).map((answer) => ({
      ...answer,
      results: (answer.results as unknown[]).slice(0, kept),
    }));
  }
  return cut;
}
