import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { unsupportedNodeMessage } from '../../src/cli/node-version.ts';

test('the check allows what package.json promises', () => {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
  expect(engines.node).toBe('^22.22 || ^24.5 || >=26');
});

test.each(['22.22.0', '22.23.3', '24.5.0', '24.21.0', '26.0.0', '26.10.0', '27.1.0', '30.0.0-nightly'])(
  'Node %s will do',
  (version) => {
    expect(unsupportedNodeMessage(version)).toBeUndefined();
  },
);

test.each(['0.10.48', '18.20.8', '20.20.2', '22.21.9', '23.11.1', '24.4.1', '25.9.0', 'unknown'])(
  'Node %s gets one sentence, which says what it is and what is needed',
  (version) => {
    const message = unsupportedNodeMessage(version);
    expect(message).toContain(`this is ${version}.`);
    expect(message).toContain('22.22');
    expect(message).toContain('24.5');
    expect(message).toContain('26');
    expect(message).not.toContain('\n');
  },
);
