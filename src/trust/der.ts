/** A value in DER (X.690): what begins with a tag and a length. */
export interface DerValue {
  /** The whole identifier octet: 0x30 is a SEQUENCE. */
  tag: number;
  content: Buffer;
  /** With tag and length, as it is signed or compared. */
  raw: Buffer;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The values in `bytes`, one behind the other. Throws `RangeError` where they do not fill it exactly. */
export function derValues(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const value = valueAt(bytes, offset);
    values.push(value);
    offset += value.raw.length;
  }
  return values;
}

/** The values in a SEQUENCE. Throws `RangeError` if `value` is none. */
export function sequence(value: DerValue | undefined): DerValue[] {
  return derValues(contentOf(value, TAG.sequence));
}

/** The content of a value of that kind. Throws `RangeError` if `value` is none. */
export function contentOf(value: DerValue | undefined, tag: number): Buffer {
  if (value?.tag !== tag) throw new RangeError(`tag ${value?.tag} where ${tag} belongs`);
  return value.content;
}

/** An INTEGER, which may be negative. */
export function integer(value: DerValue | undefined): bigint {
  const content = contentOf(value, TAG.integer);
  return content.length === 0
    ? 0n
    : BigInt.asIntN(content.length * 8, BigInt(`0x${content.toString('hex')}`));
}

/** The moment of a UTCTime or GeneralizedTime as RFC 5280 (4.1.2.5) writes it, in milliseconds since 1970. */
export function time(value: DerValue | undefined): number {
  const isShort = value?.tag === TAG.utcTime;
  const text = contentOf(value, isShort ? TAG.utcTime : TAG.generalizedTime).toString('latin1');
  const [, year = '', rest = ''] = (isShort ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text) ?? [];
  const century = isShort ? (Number(year) < 50 ? '20' : '19') : '';
  const [month, day, hour, minute, second] = rest.match(/\d\d/g) ?? [];
  const moment = Date.parse(`${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(moment)) throw new RangeError(`${JSON.stringify(text)} is no time`);
  return moment;
}

function valueAt(bytes: Buffer, offset: number): DerValue {
  const tag = bytes[offset] ?? 0;
  const first = bytes[offset + 1] ?? 0;
  // In the long form the first octet says how many follow with the length; four are 4 GB.
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  if (first === 0x80 || lengthBytes > 4) throw new RangeError('a length that DER does not have');
  const start = offset + 2 + lengthBytes;
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(offset + 2, lengthBytes);
  if (start + length > bytes.length) throw new RangeError('a value that goes on behind the end');
  return { tag, content: bytes.subarray(start, start + length), raw: bytes.subarray(offset, start + length) };
}
