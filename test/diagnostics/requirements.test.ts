import { describe, expect, test } from 'vitest';

import {
  assertRequirements,
  failedRequirements,
  parseRequirement,
  type ObservedFacts,
} from '../../src/diagnostics/requirements.ts';
import { codeThrownBy } from '../thrown.ts';

const PIN = `sha256//${Buffer.alloc(32, 7).toString('base64')}`;
const OTHER_PIN = `sha256//${Buffer.alloc(32, 8).toString('base64')}`;
const facts: ObservedFacts = {
  tls: 'TLSv1.2',
  cipher: 'TLS_AES_256_GCM_SHA384',
  group: 'X25519MLKEM768',
  alpn: 'sealift/1',
  certDays: 14,
  pin: PIN,
  handshakeMs: 50,
  rttMs: 0.4,
  bytesPerSecond: 2 ** 20,
};

function holds(text: string, observed = facts): boolean {
  return failedRequirements([parseRequirement(text)], observed).length === 0;
}

describe('a condition', () => {
  test.each([
    'tls>=1.2',
    'tls=1.2',
    'tls<=1.3',
    'tls>=1.0',
    'cipher=tls_aes_256_gcm_sha384',
    'group=x25519mlkem768',
    'alpn=sealift/1',
    'cert-days>=14',
    'cert-days<=14',
    `pin=${PIN}`,
    'handshake<=50ms',
    'rtt<=0.5ms',
    'rtt<=20ms',
    'rate>=1M',
    ' rate >= 1M ',
  ])('%s holds', (text) => {
    expect(holds(text)).toBe(true);
  });

  test.each([
    'tls>=1.3',
    'tls=1.1',
    'tls<=1.1',
    'cipher=TLS_AES_128_GCM_SHA256',
    'group=X25519',
    'alpn=Sealift/1',
    'cert-days>=15',
    `pin=${OTHER_PIN}`,
    'handshake<=49ms',
    'rtt<=0.3ms',
    'rate>=1.1M',
  ])('%s does not', (text) => {
    expect(holds(text)).toBe(false);
  });

  test('holds for 1.0 however Node calls that', () => {
    expect(holds('tls<=1.0', { tls: 'TLSv1' })).toBe(true);
    expect(holds('tls>=1.1', { tls: 'TLSv1' })).toBe(false);
  });

  test.each(['tls>=1.0', 'alpn=x', 'cert-days<=9', 'rtt<=1h', `pin=${PIN}`])(
    '%s does not hold where nothing was observed',
    (text) => {
      expect(failedRequirements([parseRequirement(text)], {})).toEqual([{ require: text, observed: null }]);
    },
  );

  test.each(['', 'tls', 'tls>1.3', 'tls>=1.4', 'tls>=', 'speed>=1', 'group>=X25519', 'pin=abc', 'pin>=x'])(
    '%j is none',
    (text) => {
      expect(codeThrownBy(() => parseRequirement(text))).toBe('usage');
    },
  );

  test.each(['rtt<=20 apples', 'rate>=fast', 'cert-days>=-1'])('%j is none', (text) => {
    expect(codeThrownBy(() => parseRequirement(text))).toBe('usage');
  });

  test('takes a bare number for seconds', () => {
    expect(parseRequirement('handshake<=50').wanted).toBe(50_000);
  });
});

test('what does not hold is told together, with what is the case', () => {
  const requirements = ['tls>=1.3', 'alpn=sealift/1', 'rtt<=0.1ms', 'rate>=1G'].map(parseRequirement);
  const observed = { ...facts, bytesPerSecond: undefined };
  expect(() => assertRequirements(requirements, observed, 'box:7433')).toThrow(
    'box:7433 is not as required: tls>=1.3 (TLSv1.2), rtt<=0.1ms (0.40ms), rate>=1G (not observed).',
  );
  expect(codeThrownBy(() => assertRequirements(requirements, observed, 'box'))).toBe('condition-failed');
  assertRequirements(requirements.slice(1, 2), observed, 'box');
});
