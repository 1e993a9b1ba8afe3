import fc from 'fast-check';
import { expect, test } from 'vitest';

import { retiredAtMs, VersionIds } from '../../src/storage/version-ids.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';

test('ids are in the order in which they were made, no two the same, and tell when that was', async (context) => {
  const number = fc.constantFrom(0, 0x7fffffff, 0xfffffffe, 0xffffffff, 0x12345678);
  await holds(
    context,
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 0, 1, 59_999, 86_400_000), number), { maxLength: 30 }),
      (steps) => {
        const clock = new FakeClock();
        const numbers = steps.map(([, each]) => each);
        const bytes = () => {
          const buffer = Buffer.alloc(4);
          buffer.writeUInt32BE(numbers.shift() ?? 0);
          return buffer;
        };
        const ids = new VersionIds({ clock, random: { bytes, fraction: () => 0 } });
        const made = steps.map(([afterMs]) => {
          clock.advance(afterMs);
          const id = ids.next();
          expect(retiredAtMs(id)).toBe(clock.now());
          return id;
        });
        expect(made.toSorted()).toEqual(made);
        expect(new Set(made).size).toBe(made.length);
      },
    ),
  );
});

test('what is no id was never retired', async (context) => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^\d{8}T\d{9}Z-[0-9a-g]{7,9}$/));
  await holds(
    context,
    fc.property(text, (id) => {
      const isId = /^\d{8}T\d{9}Z-[0-9a-f]{8}$/.test(id);
      expect(retiredAtMs(id) !== undefined).toBe(isId);
    }),
  );
});
