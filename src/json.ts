/** Nesting at which the look at a value stops: what is deeper, or circular, is refused. */
const DEPTH_MAX = 128;

/**
 * Why JSON cannot hold a value as it is, as the end of a sentence that begins with its name;
 * `undefined` where it can. `JSON.stringify` would change such a value silently or throw.
 */
export function jsonFault(value: unknown, depth = 0): string | undefined {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? undefined : 'holds half of a surrogate pair';
    case 'number':
      return Number.isFinite(value) ? undefined : `holds ${value}, which is no JSON number`;
    case 'boolean':
      return undefined;
    case 'object':
      return value === null ? undefined : objectFault(value, depth);
    default:
      return `holds a ${typeof value}, which is no JSON value`;
  }
}

function objectFault(value: object, depth: number): string | undefined {
  if (depth === DEPTH_MAX) return `is circular or deeper than ${DEPTH_MAX} levels`;
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    return toJsonFault(value as { toJSON(): unknown }, depth);
  }
  if (Array.isArray(value)) {
    // By index, not by iteration: a hole would become `null`.
    for (let index = 0; index < value.length; index++) {
      const fault = jsonFault(value[index], depth + 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (ArrayBuffer.isView(value) || value instanceof Map || value instanceof Set) {
    return `holds a ${value.constructor.name}, which is no JSON value`;
  }
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    const fault = key.isWellFormed()
      ? jsonFault(field, depth + 1)
      : 'has a key with half of a surrogate pair';
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Dates and the like say themselves what they are in JSON. */
function toJsonFault(value: { toJSON(): unknown }, depth: number): string | undefined {
  try {
    return jsonFault(value.toJSON(), depth + 1);
  } catch (error) {
    return `has a toJSON() that throws: ${error}`;
  }
}
