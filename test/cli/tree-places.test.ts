import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunContext } from '../../src/cli/run-context.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { localPlace, remoteInto, treeEnds } from '../../src/cli/tree-places.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { failureOf } from '../support/failure.ts';
import { plantTree } from '../support/planted-tree.ts';

test.each([
  ['dir', 'dir', false],
  ['dir/', 'dir/', true],
  ['dir/.', 'dir/.', true],
  ['.', '.', true],
  ['..', '..', true],
  ['../..', '../..', true],
  ['dir/..', 'dir/..', true],
  ['a..', 'a..', false],
  ['./a:b', './a:b', false],
  ['/', '/', true],
])('%j on this machine', (text, path, hasTrailingSlash) => {
  expect(localPlace(text, 'target')).toEqual({ path, hasTrailingSlash });
});

test.each([
  ['-', 'A tree is no stream'],
  ['host:x', 'host:x is on a server, and so is the target.'],
])('%j is refused as a tree on this machine', async (text, said) => {
  const failure = await failureOf(Promise.resolve().then(() => localPlace(text, 'target')));
  expect(failure).toMatchObject({ code: 'usage', message: expect.stringContaining(said) });
});

test.each([
  ['', 'x', 'x'],
  ['a', '/tmp/x/', 'a/x'],
  ['a/b', '../x', 'a/b/x'],
])('into %j goes %j as %j', (directory, local, expected) => {
  expect(remoteInto(directory, local)).toBe(expected);
});

describe('the two ends of a sync', () => {
  const home = new CliHome();
  let server: ServeProcess;
  let context: RunContext;
  const at = (path: string) => `${home.at('work')}/${path}`;

  beforeAll(async () => {
    server = await home.serve();
    await plantTree(home.at('root'), { 'there/x': 'x', file: 'f', link: { link: 'file' } });
    await plantTree(home.at('work'), { 'here/x': 'x', file: 'f', link: { link: 'file' } });
    mkdirSync(home.at('work/there'));
    const flags = { json: false, quiet: true, verbose: false, progress: false, dataOnStdout: false };
    context = new RunContext({
      settings: { connectTimeout: 10_000, timeout: 10_000, retry: 0, retryDelay: 1, retryMaxTime: 1_000 },
      terminal: new Terminal(flags),
      directories: { config: home.at('config/sealift'), state: home.at('state/sealift') },
      signal: new AbortController().signal,
    });
  });
  afterAll(async () => {
    await context[Symbol.asyncDispose]();
    await home.close();
  });

  test.each([
    ['here', 'new', 'new'],
    ['here', 'there', 'there'],
    ['here/', 'there', 'there'],
    ['here', 'there/', 'there/here'],
    ['here/', 'there/', 'there'],
    ['here', '', 'here'],
    ['here/', '', ''],
    ['file', 'new', 'new'],
    ['file', 'new/', 'new/file'],
    ['file', 'there', 'there/file'],
    ['link', 'there', 'there/link'],
    ['file', 'file', 'file'],
    ['gone', 'there', 'there'],
  ])('%j to host:%s is %j there', async (source, target, expected) => {
    const ends = await treeEnds(context, at(source), server.place(target));
    expect(ends).toMatchObject({ isSending: true, remote: { path: expected } });
  });

  test.each([
    ['there', 'new', 'new'],
    ['there', 'here', 'here'],
    ['there/', 'here', 'here'],
    ['there', 'here/', 'here/there'],
    ['there/', 'here/', 'here/'],
    ['', 'here/', 'here/'],
    ['file', 'new', 'new'],
    ['file', 'new/', 'new/file'],
    ['file', 'here', 'here/file'],
    ['link', 'here', 'here/link'],
    ['file', 'file', 'file'],
    ['gone', 'here', 'here'],
  ])('host:%s to %j is %j here', async (source, target, expected) => {
    expect(await treeEnds(context, server.place(source), at(target))).toMatchObject({
      ...{ isSending: false, local: at(expected) },
    });
  });
});
