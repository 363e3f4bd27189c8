import type { Format } from '../../native/door.js';

/** The content type of a JSON line with a block of float32 numbers behind it. */
export const FLOAT32_TYPE = 'application/vnd.volley.float32';

/** The content type of one operation a line. */
export const NDJSON_TYPE = 'application/x-ndjson';

/** The header with the name under which a batch is followed and cancelled. */
export const BATCH_ID_HEADER = 'volley-batch-id';

/** The header with the milliseconds that a call may take. */
export const DEADLINE_HEADER = 'volley-deadline-ms';

/** The formats of whole bodies, by content type. */
export const FORMATS: Readonly<Record<string, Format>> = {
  'application/json': 'json',
  [FLOAT32_TYPE]: 'float32',
};
