import { createPrivateKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { isSealiftError } from '../../src/errors.ts';
import { signedCrl } from '../../src/trust/ca/signed-crl.ts';
import { parseCrls, serialText } from '../../src/trust/crl.ts';
import { derValues } from '../../src/trust/der.ts';
import { issueAuthority } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';

const hex = fc
  .tuple(
    fc.constantFrom(...'123456789abcdef'),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), maxLength: 39 }),
  )
  .map(([first, rest]) => serialText(`${first}${rest}`));
const entries = fc.uniqueArray(
  fc.record({
    serial: hex,
    revokedMs: fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1_000),
  }),
  { selector: ({ serial }) => serial, maxLength: 20 },
);

test('any bytes are values of DER that fill them, or none', async (context) => {
  const length = fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x85, 0xff);
  const bytes = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0x30, 0x02), length), { maxLength: 60 });
  await holds(
    context,
    fc.property(bytes, (array) => {
      const given = Buffer.from(array);
      try {
        expect(Buffer.concat(derValues(given).map(({ raw }) => raw)).equals(given)).toBe(true);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a list of revoked certificates is read as it was written, and refused, if at all, when it is damaged', async (context) => {
  const { cert, key } = await issueAuthority();
  const issuer = {
    certificate: new X509Certificate(cert),
    key: createPrivateKey(key),
    clock: new FakeClock(),
  };
  const damages = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
    maxLength: 3,
  });
  await holds(
    context,
    fc.asyncProperty(
      entries,
      fc.bigInt({ min: 1n, max: 2n ** 150n }),
      damages,
      async (revoked, number, changes) => {
        const text = await signedCrl({ number, revoked, days: 30 }, issuer);
        expect(parseCrls(text, 'crl')).toMatchObject([{ number, revoked }]);
        const der = Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
        for (const [place, byte] of changes) der[Math.floor(place * (der.length - 1))] = byte;
        const damaged = `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`;
        try {
          parseCrls(damaged, 'crl');
        } catch (error) {
          if (!isSealiftError(error, 'bad-configuration')) throw error;
        }
      },
    ),
    { numRuns: 50 },
  );
});
