import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { spawnSync } from 'node:child_process';
import { webcrypto, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { alternativeName, certificateNames, isCertificateName } from '../../src/trust/certificate-names.ts';

describe('a name for a certificate', () => {
  test.each([
    ['localhost', 'dns', 'localhost'],
    ['A.Example', 'dns', 'a.example'],
    ['my_host-1', 'dns', 'my_host-1'],
    ['*.example.com', 'dns', '*.example.com'],
    ['1.example', 'dns', '1.example'],
    ['münchen.example', 'dns', 'xn--mnchen-3ya.example'],
    [`${'a'.repeat(63)}.example`, 'dns', `${'a'.repeat(63)}.example`],
    ['127.0.0.1', 'ip', '127.0.0.1'],
    ['::1', 'ip', '::1'],
    ['2001:0DB8::0001', 'ip', '2001:db8::1'],
    ['::ffff:1.2.3.4', 'ip', '::ffff:102:304'],
  ])('%s', (name, type, value) => {
    expect(alternativeName(name)).toEqual({ type, value });
    expect(isCertificateName(name)).toBe(true);
  });

  test.each([
    '',
    ' ',
    'a b',
    'a,O=evil',
    'a+b',
    '"a"',
    'a\u0000.example',
    'a\nb',
    'ü\nb',
    'ü b',
    'a..b',
    '.a',
    'a.',
    '-a',
    'a-',
    '*',
    'a.*.b',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '::1%eth0',
    '[::1]',
    ':::',
    'a/b',
    'a%2eb',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(126)}ab`,
  ])('not %j', (name) => {
    expect(alternativeName(name)).toBeUndefined();
    expect(isCertificateName(name)).toBe(false);
  });
});

describe('the names in a client certificate', () => {
  const made = async (
    commonNames: string[],
    altNames: { type: 'dns' | 'email' | 'url'; value: string }[],
  ) => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const { rawData } = await X509CertificateGenerator.createSelfSigned(
      {
        name: commonNames.map((name) => ({ CN: [name] })),
        keys: await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
        signingAlgorithm: algorithm,
        extensions: altNames.length > 0 ? [new SubjectAlternativeNameExtension(altNames)] : [],
      },
      webcrypto,
    );
    return new X509Certificate(Buffer.from(rawData));
  };
  const namesOf = async (...given: Parameters<typeof made>) => certificateNames(await made(...given));

  test('are its common name, DNS names and e-mail addresses, each once', async () => {
    const names = await namesOf(
      ['backup'],
      [
        { type: 'dns', value: 'a.example' },
        { type: 'email', value: 'me@a.example' },
        { type: 'url', value: 'https://not-a-name.example/' },
        { type: 'dns', value: 'backup' },
      ],
    );
    expect(names).toEqual(['backup', 'a.example', 'me@a.example']);
  });

  test('are its common name where there is no other', async () => {
    expect(await namesOf(['John Doe'], [])).toEqual(['John Doe']);
  });

  test('do not include what only looks like one inside another', async () => {
    const names = await namesOf(
      ['backup'],
      [
        { type: 'dns', value: 'x, DNS:admin.example' },
        { type: 'url', value: 'a:b, DNS:admin.example' },
        { type: 'url', value: 'a:"b", DNS:admin.example, email:"' },
        { type: 'email', value: 'x\u0000, DNS:admin.example' },
        { type: 'dns', value: 'last.example' },
      ],
    );
    expect(names).toEqual(['backup', 'last.example']);
  });

  test('are all its common names, where it has several', async () => {
    expect(await namesOf(['one', 'two'], [])).toEqual(['one', 'two']);
  });

  // Node loads its TLS in an order that breaks it when the parts of a subject are asked for first.
  test('leave TLS usable in a process that needs it only afterwards', async () => {
    const module = new URL('../../src/trust/certificate-names.ts', import.meta.url).href;
    const script = `
      import { X509Certificate } from 'node:crypto';
      import { certificateNames } from ${JSON.stringify(module)};
      certificateNames(new X509Certificate(${JSON.stringify((await made(['backup'], [])).toString())}));
      const { createServer } = await import('node:tls');
      createServer({});`;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
  });
});
