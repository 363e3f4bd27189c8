import type { Metadata, StatusObject } from '@grpc/grpc-js';
import type { VolleyError } from '../../errors.js';
import { snakeCase } from '../../options.js';
import { STATUS } from '../status.js';
import { bytesField, integerField } from './wire.js';

const DOMAIN = 'volley';
const TYPES = 'type.googleapis.com/google.rpc.';

/** Milliseconds to wait where the error does not say. */
const RETRY_MS_DEFAULT = 100;

/**
 * The status of a refused request: the code's own, with `google.rpc.ErrorInfo` (the reason is
 * Volley's code) and, where a retry may help, `google.rpc.RetryInfo`.
 */
export function grpcStatus(error: VolleyError, metadata: Metadata): StatusObject {
  const { code, message, retriable, details } = error;
  const values = Object.entries(details).map(([name, value]) =>
    bytesField(3, Buffer.concat([bytesField(1, snakeCase(name)), bytesField(2, textOf(value))])),
  );
  const info = Buffer.concat([bytesField(1, code), bytesField(2, DOMAIN), ...values]);
  const all = [any('ErrorInfo', info)];
  if (retriable) {
    const delayMs = Number(details.retryAfterMs ?? details.retry_after_ms ?? RETRY_MS_DEFAULT);
    all.push(any('RetryInfo', bytesField(1, duration(delayMs))));
  }
  const { grpc } = STATUS[code];
  const status = [integerField(1, grpc), bytesField(2, message), ...all];
  metadata.set('grpc-status-details-bin', Buffer.concat(status));
  return { code: grpc, details: message, metadata };
}

function any(type: string, message: Uint8Array): Buffer {
  return bytesField(3, Buffer.concat([bytesField(1, TYPES + type), bytesField(2, message)]));
}

function duration(ms: number): Buffer {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return Buffer.concat([integerField(1, seconds), integerField(2, nanos)]);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
