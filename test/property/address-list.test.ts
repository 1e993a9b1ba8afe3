import fc from 'fast-check';
import { expect, test } from 'vitest';

import { AddressList, isNetwork } from '../../src/transport/address-list.ts';
import { holds } from '../support/properties.ts';

/** An address of so many bits, as a number; few bits differ, so that networks and addresses meet. */
const bits = (length: number) =>
  fc
    .tuple(
      fc.bigInt({ min: 0n, max: 2n ** BigInt(length) - 1n }),
      fc.constantFrom(0n, 1n, 2n ** BigInt(length - 1)),
    )
    .chain(([any, few]) => fc.constantFrom(any, few, few));
const ipv4 = fc.record({ number: bits(32), prefix: fc.nat(32), version: fc.constant(4 as const) });
const ipv6 = fc.record({ number: bits(128), prefix: fc.nat(128), version: fc.constant(6 as const) });
const networks = fc.array(fc.oneof(ipv4, ipv6), { maxLength: 5 });

test('an address is in a list exactly if its first bits are those of a network in it', async (context) => {
  await holds(
    context,
    fc.property(networks, fc.oneof(ipv4, ipv6), (given, asked) => {
      const list = new AddressList(given.map((each) => `${textOf(each)}/${each.prefix}`));
      const isIn = given.some((network) => {
        const rest = BigInt((network.version === 4 ? 32 : 128) - network.prefix);
        return inIpv6(network) >> rest === inIpv6(asked) >> rest;
      });
      expect(list.has(textOf(asked))).toBe(isIn);
    }),
    { numRuns: 1_000 },
  );
});

test('an IPv4 client of a socket for IPv6 is in the networks of IPv4', async (context) => {
  await holds(
    context,
    fc.property(fc.array(ipv4, { maxLength: 5 }), ipv4, (given, asked) => {
      const list = new AddressList(given.map((each) => `${textOf(each)}/${each.prefix}`));
      expect(list.has(`::ffff:${textOf(asked)}`)).toBe(list.has(textOf(asked)));
    }),
    { numRuns: 500 },
  );
});

test('any text is a network, or none that a list takes', async (context) => {
  const text = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom('10', '.', ':', '/', '0', '256', 'ffff', '::', '%', '33', '-'))
      .map((pieces) => pieces.join('')),
  );
  await holds(
    context,
    fc.property(text, (network) => {
      if (isNetwork(network)) expect(new AddressList([network]).networks).toEqual([network]);
      else expect(() => new AddressList([network])).toThrow(RangeError);
    }),
    { numRuns: 500 },
  );
});

/** The number by which IPv6 knows an address of IPv4, too. */
function inIpv6({ number, version }: { number: bigint; version: 4 | 6 }): bigint {
  return version === 4 ? (0xffffn << 32n) | number : number;
}

function textOf({ number, version }: { number: bigint; version: 4 | 6 }): string {
  const [length, size, radix] = version === 4 ? ([32n, 8n, 10] as const) : ([128n, 16n, 16] as const);
  const groups: string[] = [];
  for (let shift = length - size; shift >= 0n; shift -= size)
    groups.push(((number >> shift) & (2n ** size - 1n)).toString(radix));
  return groups.join(version === 4 ? '.' : ':');
}
