import fc from 'fast-check';
import { expect, test } from 'vitest';

import { parsePlaceText, parseServerText } from '../../src/cli/places.ts';
import { isSealiftError, type ErrorCode } from '../../src/errors.ts';
import { blockDigest, formatBlockDigest, parseBlockDigest } from '../../src/transfer/digests.ts';
import { pathProblem } from '../../src/transfer/remote-path.ts';
import { formatAddress, parseAddress } from '../../src/transport/address.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { parseToml } from '../../src/trust/toml.ts';
import { anyString, holds } from '../support/properties.ts';

/** Texts from pieces that mean something to one reader or another. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'a',
        '/',
        ':',
        '..',
        '-',
        '@',
        '[',
        ']',
        '::1',
        'unix:',
        'sealift://',
        '7433',
        '99999',
        '%00',
      ),
      fc.constantFrom(
        '[principals.a]\n',
        'permissions = ',
        '["read"]',
        '\n',
        '=',
        '"',
        '{',
        '2027-01-01',
        '#',
        '1e999',
      ),
      fc.constantFrom('tokens = ', 'quota = ', '__proto__', '[job.x]\n', "'", '\\u0000', 'sha256:'),
      anyString,
    ),
    { maxLength: 10 },
  )
  .map((pieces) => pieces.join(''));

const readers: [string, ErrorCode, (text: string) => unknown][] = [
  ['a place', 'usage', parsePlaceText],
  ['a server', 'usage', parseServerText],
  ['a configuration', 'bad-configuration', (text) => parseToml(text, 'config.toml')],
  ['a users file', 'bad-configuration', (text) => parsePrincipals(text, 'users.toml')],
];

test.for(readers)('any text is %s, or refused as %s', async ([, code, read], context) => {
  await holds(
    context,
    fc.property(anyText, (text) => {
      try {
        read(text);
      } catch (error) {
        if (!isSealiftError(error, code)) throw error;
      }
    }),
    { numRuns: 1_000 },
  );
});

test('the path of a place that is understood keeps the rules for paths', async (context) => {
  await holds(
    context,
    fc.property(anyText, (text) => {
      try {
        const place = parsePlaceText(`host:${text}`);
        expect(place.kind).toBe('remote');
        if (place.kind === 'remote')
          expect(place.path === '' || pathProblem(place.path) === undefined).toBe(true);
      } catch (error) {
        if (!isSealiftError(error, 'usage')) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

test('an address has one written form, which is read as the same', async (context) => {
  const port = fc.integer({ min: 1, max: 65_535 });
  const address = fc.oneof(
    fc.record({ host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port }),
    fc.string({ unit: 'grapheme' }).map((rest) => ({ path: `/${rest.replaceAll('\0', '')}` })),
  );
  await holds(
    context,
    fc.property(address, (given) => {
      const text = formatAddress(given);
      expect(text).not.toMatch(/\s/);
      const read = parseAddress(text);
      expect(read).toBeDefined();
      if (read !== undefined) expect(formatAddress(read)).toBe(text);
      if ('path' in given) expect(read).toEqual(given);
    }),
    { numRuns: 500 },
  );
  await holds(
    context,
    fc.property(anyText, (text) => {
      const read = parseAddress(text);
      if (read !== undefined) expect(parseAddress(formatAddress(read))).toEqual(read);
    }),
    { numRuns: 500 },
  );
});

test('a digest is read as it was written, and nothing else is one', async (context) => {
  await holds(
    context,
    fc.property(fc.uint8Array(), fc.constantFrom('', ' ', '0', '\n'), (bytes, rest) => {
      const raw = blockDigest('sha256', Buffer.from(bytes));
      const text = formatBlockDigest('sha256', raw);
      expect(parseBlockDigest(text)).toEqual({ algorithm: 'sha256', raw });
      if (rest !== '')
        for (const wrong of [text + rest, rest + text, text.slice(0, -1)])
          expect(parseBlockDigest(wrong)).toBeUndefined();
    }),
  );
});
