import { expect, test } from 'vitest';

import { tlsVariation, type TlsWishes } from '../../src/transport/tls-variation.ts';
import { thrownBy } from '../thrown.ts';

test.each<[TlsWishes, Record<string, unknown>]>([
  [{}, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', ALPNProtocols: [] }],
  [{ maxTls: '1.1' }, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }],
  [{ minTls: '1.0' }, { minVersion: 'TLSv1', maxVersion: 'TLSv1.3', ciphers: 'DEFAULT@SECLEVEL=0' }],
  [
    { ciphers: 'ECDHE+AESGCM', groups: 'X25519' },
    { ciphers: 'ECDHE+AESGCM', ecdhCurve: 'X25519' },
  ],
  [{ alpn: ['a', 'b'] }, { ALPNProtocols: ['a', 'b'] }],
])('%j', (wishes, variation) => {
  expect(tlsVariation(wishes)).toMatchObject(variation);
});

test.each<[TlsWishes, string]>([
  [{ minTls: '1.3', maxTls: '1.2' }, 'no range'],
  [{ ciphers: 'nonsense' }, 'no cipher match'],
  [{ groups: 'nonsense' }, 'cannot use these ciphers or groups'],
])('%j is refused', (wishes, message) => {
  expect(thrownBy(() => tlsVariation(wishes))).toMatchObject({
    code: 'bad-configuration',
    message: expect.stringContaining(message),
  });
});
