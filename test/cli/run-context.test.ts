import { expect, test } from 'vitest';

import { userDirectories } from '../../src/cli/directories.ts';
import { RunContext } from '../../src/cli/run-context.ts';
import type { Connector } from '../../src/client/connector.ts';
import { quietTerminal } from './quiet-terminal.ts';

test('each connector is closed, whatever becomes of those before it, and the first failure is told', async () => {
  const closed: string[] = [];
  const connectors = new Map(
    ['a', 'b', 'c'].map((name) => {
      const close = async () => {
        closed.push(name);
        if (name !== 'c') throw new Error(name);
      };
      return [name, { [Symbol.asyncDispose]: close } as unknown as Connector];
    }),
  );
  const context = new RunContext(
    {
      settings: {},
      terminal: quietTerminal(),
      directories: userDirectories(),
      signal: new AbortController().signal,
    },
    connectors,
  );
  await expect(context[Symbol.asyncDispose]()).rejects.toThrow('a');
  expect(closed).toEqual(['a', 'b', 'c']);
});
