import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { formatAddress } from '../../src/transport/address.ts';
import { isSealiftError } from '../../src/errors.ts';
import { KnownServers } from '../../src/trust/known-servers.ts';
import { anyString, holds } from '../support/properties.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const places = [{ host: 'a', port: 1 }, { host: '::1', port: 7433 }, { path: '/run/socket' }];
const pins = [1, 2, 3].map((byte) => `sha256//${Buffer.alloc(32, byte).toString('base64')}`);
const place = fc.constantFrom(...places);
const pin = fc.constantFrom(...pins);
const line = fc.oneof(
  fc.constantFrom('# a comment', '', '   ', '#a:1 is not meant'),
  fc
    .tuple(place, fc.array(pin, { minLength: 1, maxLength: 2 }), fc.constantFrom('', ' # mine', '\t#x'))
    .map(([of, given, comment]) => `${formatAddress(of)}  ${given.join(' ')}${comment}`),
);
const change = fc.record({ place, pin: fc.option(pin, { nil: undefined }), replace: fc.boolean() });

test('whatever is trusted and forgotten, just that is known, and all other lines stay as they are', async (context) => {
  const file = join(await temporaryDirectory(), 'known_servers');
  await holds(
    context,
    fc.asyncProperty(
      fc.array(line, { maxLength: 6 }),
      fc.array(change, { maxLength: 5 }),
      async (lines, changes) => {
        writeFileSync(file, lines.map((each) => `${each}\n`).join(''), { mode: 0o600 });
        const known = await KnownServers.load(file);
        const expected = new Map(places.map((each) => [each, new Set(known.pinsFor(each))]));
        for (const { place: changed, pin: given, replace } of changes) {
          const others = () =>
            readFileSync(file, 'utf8')
              .split('\n')
              .filter((each) => !each.startsWith(`${formatAddress(changed)} `));
          const before = others();
          if (given === undefined) {
            expect(await known.forget(changed)).toBe((expected.get(changed)?.size ?? 0) > 0);
            expected.set(changed, new Set());
          } else {
            await known.trust(changed, given, { replace });
            expected.set(changed, new Set([...(replace ? [] : (expected.get(changed) ?? [])), given]));
          }
          expect(others()).toEqual(before);
          const again = await KnownServers.load(file);
          for (const [each, trusted] of expected) {
            expect(new Set(known.pinsFor(each))).toEqual(trusted);
            expect(again.pinsFor(each)).toEqual(known.pinsFor(each));
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('any text is a file of known servers, or refused as a bad one', async (context) => {
  const file = join(await temporaryDirectory(), 'known_servers');
  const text = fc.array(fc.oneof(line, anyString, fc.constant('a:1'))).map((lines) => lines.join('\n'));
  await holds(
    context,
    fc.asyncProperty(text, async (content) => {
      writeFileSync(file, content, { mode: 0o600 });
      try {
        await KnownServers.load(file);
      } catch (error) {
        if (!isSealiftError(error, 'bad-configuration')) throw error;
      }
    }),
  );
});
