import { expect, test } from 'vitest';

import { listenText, parseListenAddress } from '../../src/cli/listen-address.ts';
import { codeThrownBy } from '../thrown.ts';

test.each([
  [':9000', { host: '', port: 9_000 }, 'all addresses, port 9000'],
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }, '127.0.0.1:0'],
  ['box.example:1', { host: 'box.example', port: 1 }, 'box.example:1'],
  ['[::1]:9000', { host: '::1', port: 9_000 }, '[::1]:9000'],
])('%s', (text, address, shown) => {
  expect(parseListenAddress(text)).toEqual(address);
  expect(listenText(address)).toBe(shown);
});

test.each(['', 'box', '9000', '::1:9000', 'box:', 'box:65536', 'a b:1', 'box:1/x'])(
  '%j is refused',
  (text) => {
    expect(codeThrownBy(() => parseListenAddress(text))).toBe('usage');
  },
);
