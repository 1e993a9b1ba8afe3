import fc from 'fast-check';
import { expect, test } from 'vitest';

import { printable } from '../../src/cli/escape.ts';
import { anyString, holds } from '../support/properties.ts';

test('nothing that a terminal would obey comes through, and everything else as it is', async (context) => {
  const piece = fc.oneof(
    anyString,
    fc.nat(0x2100).map((point) => String.fromCodePoint(point)),
    fc.constantFrom('\u001b[2J', '\u009b31m', '\r\n', '\u202e', '\u2066', '\u0007', '\ud800', '\\u001b'),
  );
  await holds(
    context,
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (text) => {
        const shown = printable(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
        expect(printable(shown)).toBe(shown);
        const told = /\\u([0-9a-f]{4})/g;
        expect(shown.replaceAll(told, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))).toBe(
          text.replaceAll(told, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
        );
      },
    ),
    { numRuns: 1_000 },
  );
});
