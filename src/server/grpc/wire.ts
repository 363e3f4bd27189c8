/** The little of protobuf's wire format that a carrier needs: it looks into no message but at its
 * top level, and makes none but those of a gRPC status. */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A field of a message's top level. */
export interface Field {
  readonly number: number;
  /** Of a field with bytes. */
  readonly bytes?: Uint8Array;
}

/** The fields of a message's top level; it ends where the message is broken. */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT:
        varint();
        yield { number };
        break;
      case FIXED64:
        at += 8;
        yield { number };
        break;
      case FIXED32:
        at += 4;
        yield { number };
        break;
      case BYTES: {
        const length = varint();
        if (!(at + length <= message.length)) return;
        yield { number, bytes: message.subarray(at, at + length) };
        at += length;
        break;
      }
      default:
        return;
    }
  }
}

/** The text of a message's field; the engine refuses a message that has the field twice. */
export function textField(message: Uint8Array, number: number): string | undefined {
  for (const field of fieldsOf(message)) {
    if (field.number === number && field.bytes !== undefined) {
      return Buffer.from(field.bytes).toString('utf8');
    }
  }
  return undefined;
}

/** How often a field stands in a message. */
export function countField(message: Uint8Array, number: number): number {
  let count = 0;
  for (const field of fieldsOf(message)) if (field.number === number) count += 1;
  return count;
}

/** An integer field; safe integers only. */
export function integerField(number: number, value: number): Buffer {
  return Buffer.from([...varintBytes(number * 8 + VARINT), ...varintBytes(value)]);
}

/** A field of bytes, text or another message. */
export function bytesField(number: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([
    Buffer.from([...varintBytes(number * 8 + BYTES), ...varintBytes(bytes.length)]),
    bytes,
  ]);
}

function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}
