import { VolleyError } from '../../errors.js';

/** Fields of a query string that are no text; the engine refuses the ones it does not know. */
const BOOLEANS = ['atomic', 'validate_only'];
const INTEGERS = ['limit', 'batch_size_limit', 'ef_search', 'offset'];
const NUMBERS = ['threshold', 'recall'];
const LISTS = ['include'];

/**
 * The fields that a query string says.
 *
 * @throws VolleyError `INVALID_ARGUMENT` for a field that stands twice or is of another kind.
 */
export function queryFields(parameters: URLSearchParams): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, text] of parameters) {
    if (Object.hasOwn(fields, name)) throw invalid(name, `\`${name}\` stands twice`);
    fields[name] = parsed(name, text);
  }
  return fields;
}

function parsed(name: string, text: string): unknown {
  if (LISTS.includes(name)) return text === '' ? [] : text.split(',');
  if (BOOLEANS.includes(name)) {
    if (text === 'true' || text === 'false') return text === 'true';
    throw invalid(name, `\`${name}\` must be true or false, not ${text}`);
  }
  if (INTEGERS.includes(name)) {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw invalid(name, `\`${name}\` must be an integer, not ${text}`);
  }
  if (NUMBERS.includes(name)) {
    const number = Number(text);
    if (text.trim() !== '' && Number.isFinite(number)) return number;
    throw invalid(name, `\`${name}\` must be a number, not ${text}`);
  }
  return text;
}

function invalid(field: string, message: string): VolleyError {
  return new VolleyError('INVALID_ARGUMENT', message, { details: { field } });
}
