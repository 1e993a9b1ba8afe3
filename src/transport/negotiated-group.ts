import type { TLSSocket } from 'node:tls';

/** Names by their numbers in TLS (IANA, "TLS Supported Groups"). */
const GROUPS: ReadonlyMap<number, string> = new Map([
  [0x0017, 'secp256r1'],
  [0x0018, 'secp384r1'],
  [0x0019, 'secp521r1'],
  [0x001d, 'X25519'],
  [0x001e, 'X448'],
  [0x0100, 'ffdhe2048'],
  [0x0101, 'ffdhe3072'],
  [0x0102, 'ffdhe4096'],
  [0x11eb, 'SecP256r1MLKEM768'],
  [0x11ec, 'X25519MLKEM768'],
  [0x11ed, 'SecP384r1MLKEM1024'],
]);

/** `[19] EXPLICIT`: where OpenSSL writes the group into a session (ssl/ssl_asn1.c). */
const GROUP_TAG = 0xb3;

/**
 * The key-exchange group of a secured socket, on either side: Node itself tells it to clients only, but OpenSSL writes
 * it into the session. Undefined where there is none, or where it is not told.
 */
export function negotiatedGroup(socket: TLSSocket): string | undefined {
  const session = socket.getSession();
  if (session === undefined) return undefined;
  for (const { tag, content } of elements(element(session, 0).content)) {
    if (tag !== GROUP_TAG) continue;
    const number = element(content, 0).content;
    const group = number.length <= 4 ? number.readUIntBE(0, number.length) : 0;
    return GROUPS.get(group) ?? `0x${group.toString(16).padStart(4, '0')}`;
  }
  return undefined;
}

interface Element {
  tag: number;
  content: Buffer;
  end: number;
}

function* elements(der: Buffer): Generator<Element> {
  for (let next, at = 0; at < der.length; at = next.end) {
    next = element(der, at);
    yield next;
  }
}

/** The element of DER (X.690) at `offset`. OpenSSL itself has written it: its tags are all of one byte. */
function element(der: Buffer, offset: number): Element {
  const short = der.readUInt8(offset + 1);
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
  const start = offset + 2 + lengthBytes;
  const end = start + (lengthBytes === 0 ? short : der.readUIntBE(offset + 2, lengthBytes));
  return { tag: der.readUInt8(offset), content: der.subarray(start, end), end };
}
