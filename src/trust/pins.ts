import { hash, X509Certificate } from 'node:crypto';

/**
 * The pin of a certificate, as curl's `--pinnedpubkey` writes it: `sha256//` and the base64 of the SHA-256 of its
 * public key (DER of SubjectPublicKeyInfo). A renewed certificate for the same key keeps its pin. `certificate` is
 * given parsed, or as DER or PEM bytes; what is no certificate throws Node's own error.
 */
export function certificatePin(certificate: X509Certificate | Buffer): string {
  const { publicKey } = Buffer.isBuffer(certificate) ? new X509Certificate(certificate) : certificate;
  return `${PREFIX}${hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'base64')}`;
}

/** Whether `text` is a pin in its one written form. */
export function isPin(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false;
  const base64 = text.slice(PREFIX.length);
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === base64;
}

const PREFIX = 'sha256//';
