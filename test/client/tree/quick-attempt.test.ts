import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { GetTree } from '../../../src/client/tree/get-tree.ts';
import { PutTree } from '../../../src/client/tree/put-tree.ts';
import type { SendAction } from '../../../src/client/tree/action.ts';
import { startScriptedServer, type Script } from '../../support/scripted-server.ts';
import { temporaryDirectory } from '../../support/test-server.ts';
import { connectorTo, failureOf } from '../setting.ts';

const RETRY = { retries: 2, maxElapsedMs: 1_000_000, baseDelayMs: 0, maxDelayMs: 0 };

describe.each(['put', 'get'] as const)('%s: the quick attempt for a small file', (way) => {
  test.each<[string, Script[string]]>([
    ['whose connection is lost', ({ socket }) => void socket.destroy()],
    [
      'that is put off',
      ({ answer }) => answer({ status: 'error', code: 'busy', message: 'Later.', retryable: true }),
    ],
  ])('%s is one of those that the policy allows', async (_, answered) => {
    let asked = 0;
    const server = await startScriptedServer({
      [way]: (request) => {
        asked += 1;
        return answered(request);
      },
    });
    const root = await temporaryDirectory();
    await writeFile(join(root, 'a'), 'content');
    const connector = connectorTo(server.address, server.pin);
    await connector.use();
    const options = { connector, root, top: 't', retry: RETRY };
    const tree = way === 'put' ? new PutTree(options) : new GetTree(options);
    onTestFinished(() => tree[Symbol.asyncDispose]());
    const entry = { path: 'a', type: 'file', size: 7, mtimeMs: 0, mode: 0o644 } as const;
    const action: SendAction = { kind: 'file', entry, to: 'a', late: false };
    const retries: number[] = [];
    const onRetry = ({ retry }: { retry: number }) => void retries.push(retry);
    const failure = await failureOf(tree.send(action, { onProgress: () => undefined, onRetry }));
    expect(failure.code).toBe('retries-exhausted');
    expect({ asked, retries }).toEqual({ asked: 3, retries: [1, 2] });
  });
});
