import { SealiftError } from '../errors.ts';
import { shellWord } from '../shell-word.ts';
import { contentOf, derValues, integer, sequence, TAG, time, type DerValue } from './der.ts';

/**
 * A certificate revocation list as it stands in its file: nobody has looked at its signature yet. It is read here, and not
 * by the library for certificates, because that one refuses lists of some thousand entries, and a server that refused a
 * list that has grown would go on letting in whom it names.
 */
export interface Crl {
  /** The name of who issued it, in DER. */
  issuer: Buffer;
  thisUpdateMs: number;
  /** When there will be another one; infinite if it does not say. */
  nextUpdateMs: number;
  /** Undefined if it has none: they came with version 2. */
  number: bigint | undefined;
  revoked: readonly RevokedSerial[];
  /** What is signed, how (the object identifier in DER), and the signature. */
  signed: Buffer;
  algorithm: Buffer;
  signature: Buffer;
}

export interface RevokedSerial {
  /** In the digits of `serialText`. */
  serial: string;
  revokedMs: number;
}

/**
 * Reads the revocation lists (RFC 5280, section 5) in a PEM text, of which `file` is the name for messages. Throws
 * `bad-configuration` where there is none, where one cannot be read to its end, and for lists that do not say by
 * themselves what is revoked: those with changes only, and those that speak for other issuers.
 */
export function parseCrls(text: string, file: string): Crl[] {
  const blocks = [...text.matchAll(/-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----/g)];
  const begun = text.match(/-----BEGIN X509 CRL/g) ?? [];
  if (blocks.length === 0 || blocks.length < begun.length) {
    throw new SealiftError('bad-configuration', `${file} is no whole list of revoked certificates in PEM.`, {
      hint: `From DER: openssl crl -inform der -in ${shellWord(file)} -out FILE`,
    });
  }
  return blocks.map(([, base64 = '']) => {
    try {
      return parseCrl(Buffer.from(base64, 'base64'));
    } catch (cause) {
      const reason = cause instanceof RangeError ? 'it is damaged' : (cause as Error).message;
      throw new SealiftError(
        'bad-configuration',
        `The list of revoked certificates ${file} cannot be used: ${reason}.`,
        { cause, hint: `Fetch ${file} again from who issues it, or restore it from a backup.` },
      );
    }
  });
}

/** A serial number as Node writes that of a certificate: hexadecimal in capitals, here without zeros in front. */
export function serialText(hex: string): string {
  return hex.toUpperCase().replace(/^0+(?=.)/, '');
}

const ID = { crlNumber: '551d14', issuingDistributionPoint: '551d1c' };
const EXTENSIONS_TAG = 0xa0;
/** Of the issuing distribution point: whether other issuers' certificates are listed, too. */
const INDIRECT_TAG = 0x84;

function parseCrl(der: Buffer): Crl {
  const [list] = derValues(der);
  const [signed, algorithm, signature] = sequence(list);
  const fields = sequence(signed);
  if (fields[0]?.tag === TAG.integer) fields.shift();
  const [, issuer, thisUpdate, ...rest] = fields;
  const isTime = rest[0]?.tag === TAG.utcTime || rest[0]?.tag === TAG.generalizedTime;
  const nextUpdateMs = isTime ? time(rest.shift()) : Infinity;
  const entries = rest[0]?.tag === TAG.sequence ? sequence(rest.shift()) : [];
  const extensions =
    rest.length > 0 ? extensionsOf(derValues(contentOf(rest.shift(), EXTENSIONS_TAG))[0]) : [];
  assertComplete(extensions);
  const number = extensions.find(({ id }) => id === ID.crlNumber);
  return {
    issuer: Buffer.from(issuer?.raw ?? ''),
    thisUpdateMs: time(thisUpdate),
    nextUpdateMs,
    number: number && integer(derValues(number.value)[0]),
    revoked: entries.map(revokedSerial),
    signed: signed?.raw ?? Buffer.alloc(0),
    algorithm: contentOf(sequence(algorithm)[0], TAG.objectIdentifier),
    signature: wholeBytes(signature),
  };
}

// The first octet of a bit string tells how many bits of its last are unused.
function wholeBytes(bits: DerValue | undefined): Buffer {
  const [unused, ...bytes] = contentOf(bits, TAG.bitString);
  if (unused !== 0) throw new RangeError('a bit string that ends within a byte');
  return Buffer.from(bytes);
}

function revokedSerial(entry: DerValue): RevokedSerial {
  const [serial, date, extensions] = sequence(entry);
  // Such as one that names another issuer: the serial number alone would mean somebody else's certificate.
  if (extensions !== undefined && extensionsOf(extensions).some(({ isCritical }) => isCritical))
    throw new Error('an entry depends on something that is not understood here');
  return { serial: serialText(integer(serial).toString(16)), revokedMs: time(date) };
}

interface ExtensionValue {
  /** The object identifier in DER, in hexadecimal. */
  id: string;
  isCritical: boolean;
  value: Buffer;
}

function extensionsOf(value: DerValue | undefined): ExtensionValue[] {
  return sequence(value).map((extension) => {
    const [id, ...rest] = sequence(extension);
    return {
      id: contentOf(id, TAG.objectIdentifier).toString('hex'),
      isCritical: rest[0]?.tag === TAG.boolean && rest[0].content[0] !== 0,
      value: contentOf(rest.at(-1), TAG.octetString),
    };
  });
}

// A list for some of the certificates only is no harm: what it lists is revoked.
function assertComplete(extensions: readonly ExtensionValue[]): void {
  for (const { id, isCritical, value } of extensions) {
    const isScope = id === ID.issuingDistributionPoint;
    const isIndirect = isScope && sequence(derValues(value)[0]).some(({ tag }) => tag === INDIRECT_TAG);
    if (isIndirect || (isCritical && !isScope))
      throw new Error('it holds changes to another list, or speaks for other issuers');
  }
}
