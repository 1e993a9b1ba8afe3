import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress, type Address } from '../../src/transport/address.ts';

const forms: [string, Address][] = [
  ['a.example:7433', { host: 'a.example', port: 7433 }],
  ['10.0.0.5:1', { host: '10.0.0.5', port: 1 }],
  ['[::1]:65535', { host: '::1', port: 65_535 }],
  ['[2001:db8::1]:7433', { host: '2001:db8::1', port: 7433 }],
  ['[fe80::1%eth0]:7433', { host: 'fe80::1%eth0', port: 7433 }],
  ['unix:/run/sealift.sock', { path: '/run/sealift.sock' }],
  ['unix:/a%20b%25%0Ac', { path: '/a b%\nc' }],
  ['unix:/ä/日本/#1', { path: '/ä/日本/#1' }],
];

test.each(forms)('%s is written and read back', (text, place) => {
  expect(formatAddress(place)).toBe(text);
  expect(parseAddress(text)).toEqual(place);
});

test.each([
  [{ host: 'A.Example.', port: 1 }, 'a.example:1'],
  [{ host: '2001:0DB8:0:0:0:0:0:1', port: 1 }, '[2001:db8::1]:1'],
  [{ host: 'FE80:0::1%Eth0', port: 1 }, '[fe80::1%Eth0]:1'],
])('one place has one form: %j', (place, text) => {
  expect(formatAddress(place)).toBe(text);
});

describe('no places', () => {
  test.each([
    '',
    'a.example',
    'a.example:',
    'a.example:0',
    'a.example:65536',
    'a.example:-1',
    'a.example: 1',
    ':7433',
    '::1:7433',
    '[::1]',
    '[a.example]:1',
    '[1.2.3.4]:1',
    'a/b:1',
    'unix:',
    'unix:relative',
    'unix:/%',
    'unix:/%00',
  ])('%j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
