import { describe, expect, test } from 'vitest';

import { opensslFacts } from '../../src/diagnostics/openssl-sight.ts';

const REQUEST = `SSL_connect:SSLv3/TLS read server certificate request
Server certificate
Acceptable client certificate CA names
CN = Root
O = Example, CN = Clients
Requested Signature Algorithms: ECDSA+SHA256
Peer signing digest: SHA256
Peer signature type: RSA-PSS
Server Temp Key: X25519, 253 bits
`;

describe('what openssl s_client prints is read', () => {
  test('by version 3.0', () => {
    expect(opensslFacts(REQUEST)).toEqual({
      group: 'X25519',
      signature: 'RSA-PSS SHA256',
      asksForCertificate: true,
      clientAuthorities: ['CN = Root', 'O = Example, CN = Clients'],
    });
  });

  test('by version 3.5', () => {
    const text = `Server certificate
No client certificate CA names sent
Peer signing digest: SHA256
Peer signature type: ecdsa_secp256r1_sha256
Negotiated TLS1.3 group: X25519MLKEM768
`;
    expect(opensslFacts(text)).toEqual({
      group: 'X25519MLKEM768',
      signature: 'ecdsa_secp256r1_sha256 SHA256',
      asksForCertificate: false,
      clientAuthorities: [],
    });
  });

  test('for a curve of the older kind', () => {
    expect(opensslFacts('Server certificate\nServer Temp Key: ECDH, prime256v1, 256 bits\n')?.group).toBe(
      'secp256r1',
    );
  });

  test('and is nothing where it saw no certificate', () => {
    expect(opensslFacts('connect:errno=111\n')).toBeUndefined();
  });
});
