import { expect, onTestFinished, test, vi } from 'vitest';

import { tellFailure } from '../../src/cli/endings.ts';
import { SealiftError } from '../../src/errors.ts';
import { quietTerminal } from './quiet-terminal.ts';

test('an interrupted run is told of also with --quiet: cron mails only what is said', () => {
  let lines = '';
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (lines += String(text)) !== '');
  onTestFinished(() => void spy.mockRestore());
  const reason = new SealiftError('aborted', 'Ended.', { details: { signal: 'SIGTERM' } });
  const ending = {
    terminal: quietTerminal(),
    signal: AbortSignal.abort(reason),
    goesOn: true,
    hasConnected: true,
  };
  expect(tellFailure(ending, 'put', new SealiftError('connection-lost', 'Gone.'))).toBe(143);
  expect(lines).toBe('sealift: put: aborted: Interrupted; the same command goes on where it was.\n');
});
