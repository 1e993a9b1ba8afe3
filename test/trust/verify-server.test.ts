import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';

import type { Peer } from '../../src/transport/peer.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { verifyServer } from '../../src/trust/verify-server.ts';
import { issueCertificate } from '../support/certificates.ts';
import { codeThrownBy } from '../thrown.ts';

/** `pin` with each of its characters behind `sha256//` changed, one at a time. */
function almost(pin: string): string[] {
  const start = pin.indexOf('//') + 2;
  return Array.from({ length: pin.length - start }, (_, at) => {
    const other = pin[start + at] === 'A' ? 'B' : 'A';
    return `${pin.slice(0, start + at)}${other}${pin.slice(start + at + 1)}`;
  });
}

test('a key whose pin differs in one character is another key, to a client and to a server', async () => {
  const certificate = new X509Certificate((await issueCertificate()).cert);
  const peer = { certificate, certificateProblem: undefined } as Peer;
  const pin = certificatePin(certificate);
  verifyServer(peer, 'box:1', { pins: [pin] });
  const others = almost(pin);
  for (const other of others)
    expect(
      codeThrownBy(() => verifyServer(peer, 'box:1', { pins: [other] })),
      other,
    ).toBe('pin-mismatch');
  // The last digit would leave bits over, and is no pin that a file may hold.
  const pins = JSON.stringify(others.slice(0, 42));
  const principals = parsePrincipals(
    `[principals.a]\npermissions = ["read"]\npins = ${pins}\n`,
    'users.toml',
  );
  expect(principals.byCertificate({ pin, names: [], caVerified: false })).toBeUndefined();
});
