import { expect, test } from 'vitest';

import { networkOf, plainAddress } from '../../src/transport/peer.ts';

test.each([
  ['203.0.113.5', '203.0.113.5'],
  ['::1', '0:0:0:0::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['fe80::1:2:3:4', 'fe80:0:0:0::/64'],
  ['', ''],
])('%s is counted as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test.each([
  ['::ffff:203.0.113.5', '203.0.113.5'],
  ['::1', '::1'],
  [undefined, ''],
])('%s is told as %s', (address, plain) => {
  expect(plainAddress(address)).toBe(plain);
});
