import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';

import { GetTree, type GetTreeOptions } from '../../src/client/tree/get-tree.ts';
import { isSealiftError } from '../../src/errors.ts';
import { blockDigest, fileDigest, formatBlockDigest } from '../../src/transfer/digests.ts';
import { AT_ONCE, connectorTo, MIB } from '../client/setting.ts';
import { copy, type CopyOptions, type Told } from '../client/tree/tree-setting.ts';
import { contentsAt, plantTree, treeAt } from '../support/planted-tree.ts';
import { startScriptedServer, type ScriptedRequest } from '../support/scripted-server.ts';
import { temporaryDirectory } from '../support/test-server.ts';

/** An entry as a server lists it: its path from the root of the server, and whatever else it says of it. */
export type Listed = [path: string, fields?: Record<string, unknown>];
export const file = (path: string, content: string | Buffer = 'evil'): Listed => [
  `tree/${path}`,
  { content },
];
export const link = (path: string, target: string): Listed => [`tree/${path}`, { type: 'symlink', target }];
export const dir = (path: string, mode = 0o755): Listed => [`tree/${path}`, { type: 'directory', mode }];

/** What a server says in one run. */
export interface Lie {
  listed?: Listed[];
  top?: Record<string, unknown>;
  /** Instead of the file that was listed. */
  got?: { size?: number; fields?: Record<string, unknown>; content: Buffer } | undefined;
  options?: Partial<GetTreeOptions>;
  copy?: CopyOptions;
}

export const digestOf = (content: Buffer) => formatBlockDigest('sha256', blockDigest('sha256', content));
const ATTRIBUTES = { type: 'file', size: 0, 'mtime-ms': 1_000, mode: 0o666, etag: 'e' };

/**
 * Fetches a tree, run after run, from a server that lies, into a directory that has neighbours. Proves after each
 * that everything beside the target is as it was, and answers with what the runs told and what stands in the end.
 */
export async function fetchLies(lies: Lie[], planted: Parameters<typeof plantTree>[1] = {}) {
  const scratch = await temporaryDirectory();
  const target = join(scratch, 'target');
  const outside = await plantTree(join(scratch, 'outside'), {
    precious: { content: 'precious', mode: 0o600 },
    'directory/file': 'precious',
    'directory/': { mode: 0o700 },
  });
  await plantTree(target, planted);
  await mkdir(join(scratch, 'backup'));
  const before = await treeAt(outside);
  const says: { lie: Lie } = { lie: {} };
  const server = await startScriptedServer(scriptOf(says));
  const told: (Told | string)[] = [];
  for (const lie of lies) {
    says.lie = lie;
    const connector = connectorTo(server.address, server.pin);
    const direction = new GetTree({
      ...{
        connector,
        top: 'tree',
        root: target,
        retry: AT_ONCE,
        archive: true,
        delta: 'auto',
        mustBeNew: false,
      },
      ...relocated(lie.options, scratch),
    });
    told.push(await copy(direction, lie.copy).then((run) => run.told, codeOf));
    expect(await treeAt(outside)).toEqual(before);
    expect((await readdir(scratch)).sort()).toEqual(['backup', 'outside', 'target']);
  }
  const failed = told.map((run) => (typeof run === 'string' ? run : run.failed));
  return { failed, last: failed.at(-1), target: await contentsAt(target), backup: join(scratch, 'backup') };
}

function relocated(options: Partial<GetTreeOptions> = {}, scratch: string): Partial<GetTreeOptions> {
  const { backupDirectory } = options;
  return backupDirectory === undefined ? options : { backupDirectory: join(scratch, backupDirectory) };
}

function scriptOf(says: { lie: Lie }) {
  const contentOf = (path: unknown) => {
    const fields = says.lie.listed?.find(([each]) => each === path)?.[1];
    const content = fields?.['content'] as string | Buffer | undefined;
    return Buffer.from(content ?? '');
  };
  return {
    stat: ({ answer }: ScriptedRequest) =>
      answer({ status: 'ok', ...ATTRIBUTES, type: 'directory', mode: 0o755, ...says.lie.top }),
    list: ({ answer }: ScriptedRequest) => {
      const entries = (says.lie.listed ?? []).map(([path, { content, ...fields } = {}]) => ({
        ...{ path, ...ATTRIBUTES, size: (content as { length?: number } | undefined)?.length ?? 0 },
        ...fields,
      }));
      return answer(
        { status: 'ok' },
        { content: Buffer.from(JSON.stringify({ entries })), contentType: 'text/json' },
      );
    },
    get: async ({ header, answer }: ScriptedRequest) => {
      const { content, size, fields } = {
        ...says.lie.got,
        content: says.lie.got?.content ?? contentOf(header['path']),
      };
      const file = { ...ATTRIBUTES, size: size ?? content.length, ...fields };
      if (content.length <= MIB)
        return answer({ status: 'ok', digest: digestOf(content), ...file }, { content });
      await answer({ status: 'more', ...file });
      const blocks = Array.from({ length: Math.ceil(content.length / MIB) }, (_, index) =>
        content.subarray(index * MIB, (index + 1) * MIB),
      );
      for (const [index, block] of blocks.entries())
        await answer({ status: 'block', index, digest: digestOf(block) }, { content: block });
      await answer({
        status: 'ok',
        digest: fileDigest(
          'sha256',
          blocks.map((each) => blockDigest('sha256', each)),
        ),
      });
    },
  };
}

function codeOf(error: unknown): string {
  if (isSealiftError(error)) return error.code;
  throw error;
}
