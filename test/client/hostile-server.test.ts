import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { blockDigest, fileDigest, formatBlockDigest } from '../../src/transfer/digests.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { HELLO, startScriptedServer, type Script, type ScriptedRequest } from '../support/scripted-server.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { AT_ONCE, connectorTo, failureOf, fetchTo, MIB, NEVER, noise, send } from './setting.ts';

const content = noise(3 * MIB);
const blocks = [0, 1, 2].map((index) => content.subarray(index * MIB, (index + 1) * MIB));
const digestOf = (bytes: Buffer) => formatBlockDigest('sha256', blockDigest('sha256', bytes));
const whole = fileDigest(
  'sha256',
  blocks.map((block) => blockDigest('sha256', block)),
);
const ATTRIBUTES = { size: content.length, 'mtime-ms': 0, mode: 0o644, etag: 'e' };

type Part = [fields: Record<string, unknown>, bytes?: Buffer];
const more = (fields: Record<string, unknown> = {}): Part => [{ status: 'more', ...ATTRIBUTES, ...fields }];
const block = (index: number, bytes = blocks[index] ?? Buffer.alloc(0), digest = digestOf(bytes)): Part => [
  { status: 'block', index, digest },
  bytes,
];
const ok = (fields: Record<string, unknown> = { digest: whole }, bytes?: Buffer): Part => {
  const all = { status: 'ok', ...fields };
  return bytes ? [all, bytes] : [all];
};

const saying =
  (...parts: Part[]) =>
  async ({ answer }: ScriptedRequest) => {
    for (const [fields, bytes] of parts) await answer(fields, bytes && { content: bytes });
  };

async function connected(script: Script, options = {}) {
  const server = await startScriptedServer(script);
  return { server, connector: connectorTo(server.address, server.pin, options) };
}

/** Fetches beside a precious file, and proves that nothing but a partial file was written. */
async function fetchFrom(script: Script, options = {}) {
  const { connector, server } = await connected(script);
  const directory = await temporaryDirectory();
  const target = join(directory, 'inner', 'target');
  await writeFile(join(directory, 'precious'), 'precious');
  const error = await failureOf(fetchTo(connector, 'file', target, { retry: AT_ONCE, ...options }));
  expect(await readdir(directory)).toEqual(['inner', 'precious']);
  for (const name of await readdir(join(directory, 'inner')))
    expect(name).toMatch(/^\.sealift-[0-9a-f]{16}\.part$/);
  expect(await readFile(join(directory, 'precious'), 'utf8')).toBe('precious');
  return { error, server };
}

test('a file that is said to be empty has the digest of an empty one', async () => {
  const empty = { ...ATTRIBUTES, size: 0 };
  const { error } = await fetchFrom({ get: saying(ok({ ...empty, digest: digestOf(content) })) });
  expect(error.details['lastCode']).toBe('digest-mismatch');
  const { connector } = await connected({ get: saying(ok({ ...empty, digest: digestOf(Buffer.alloc(0)) })) });
  expect(await fetchTo(connector, 'file', join(await temporaryDirectory(), 'target'))).toMatchObject({
    size: 0,
  });
});

test('the script of these tests can be honest', async () => {
  const { connector } = await connected({ get: saying(more(), block(0), block(1), block(2), ok()) });
  const target = join(await temporaryDirectory(), 'target');
  expect(await fetchTo(connector, 'file', target)).toMatchObject({ digest: whole });
  expect((await readFile(target)).equals(content)).toBe(true);
});

const LIES: Record<string, [script: Part[], code: ErrorCode]> = {
  'a block that does not have its digest': [
    [more(), block(0, blocks[1], digestOf(blocks[0]!))],
    'digest-mismatch',
  ],
  'a digest that is none': [[more(), block(0, blocks[0], 'sha256:xyz')], 'protocol-violation'],
  'a file digest for another file': [
    [more(), block(0), block(1), block(2), ok({ digest: fileDigest('sha256', []) })],
    'digest-mismatch',
  ],
  'a file digest that is none': [
    [more(), block(0), block(1), block(2), ok({ digest: 5 })],
    'protocol-violation',
  ],
  'too short a block': [[more(), block(0, blocks[0]!.subarray(1))], 'protocol-violation'],
  'an empty block': [[more(), block(0, Buffer.alloc(0))], 'protocol-violation'],
  'a block beyond the end': [[more(), block(0), block(3, blocks[0])], 'protocol-violation'],
  'a block far beyond the end': [[more(), block(2 ** 40, blocks[0])], 'protocol-violation'],
  'a negative index': [[more(), block(-1, blocks[0])], 'protocol-violation'],
  'half an index': [[more(), block(0.5, blocks[0])], 'protocol-violation'],
  'the same block again and again': [
    [more(), block(0), ...Array.from({ length: 50 }, () => block(0))],
    'protocol-violation',
  ],
  'blocks backwards': [[more(), block(2), block(1)], 'protocol-violation'],
  'a block before it says what file': [[block(0)], 'protocol-violation'],
  'too few blocks': [[more(), block(0), block(1), ok()], 'incomplete'],
  'no block': [[more(), ok()], 'incomplete'],
  'another file in the middle': [[more(), block(0), more({ etag: 'f' })], 'precondition-failed'],
  'another size in the middle': [[more(), block(0), more({ size: 2 * MIB }), ok()], 'protocol-violation'],
  'the parts of a file that is too small for that': [
    [more({ size: MIB }), block(0), ok({})],
    'protocol-violation',
  ],
  'a negative size': [[more({ size: -1 })], 'protocol-violation'],
  'a size beyond all limits': [[more({ size: 2 ** 60 })], 'protocol-violation'],
  'a size that is a text': [[more({ size: '3' })], 'protocol-violation'],
  'a whole file that is longer than it says': [
    [ok({ ...ATTRIBUTES, size: 3, digest: digestOf(Buffer.from('abcd')) }, Buffer.from('abcd'))],
    'protocol-violation',
  ],
  'a whole file without a digest': [
    [ok({ ...ATTRIBUTES, size: 4 }, Buffer.from('abcd'))],
    'protocol-violation',
  ],
  'a whole file with a wrong digest': [
    [ok({ ...ATTRIBUTES, size: 4, digest: digestOf(Buffer.from('x')) }, Buffer.from('abcd'))],
    'digest-mismatch',
  ],
  'an error of no known kind': [
    [[{ status: 'error', code: 'rm -rf', message: '\u001b[2J', retryable: false }]],
    'internal',
  ],
};

describe('a download from a server that sends', () => {
  test.each(Object.entries(LIES))('%s', async (_, [parts, code]) => {
    const { error } = await fetchFrom({ get: saying(...parts) }, { retry: NEVER });
    expect(error.code).toBe(code);
  });

  test('a file digest that never fits is not believed for ever', async () => {
    const raw = Buffer.concat(blocks.map((bytes) => blockDigest('sha256', bytes)));
    const wrong = fileDigest('sha256', []);
    const { error, server } = await fetchFrom({
      get: saying(more(), block(0), block(1), block(2), ok({ digest: wrong })),
      digests: saying([{ status: 'more' }, raw], ok({ size: content.length, etag: 'e', digest: wrong })),
      stat: saying(ok({ ...ATTRIBUTES, type: 'file' })),
    });
    expect(error).toMatchObject({ code: 'retries-exhausted', details: { lastCode: 'digest-mismatch' } });
    expect(server.requests.filter(({ header }) => header['action'] === 'digests')).toHaveLength(8);
  });

  test('over two connections, where nothing tells the whole, sizes that differ', async () => {
    const get = async (request: ScriptedRequest) => {
      const isFirst = request.header['from-block'] === undefined;
      return saying(...(isFirst ? [more({ size: 2 * MIB }), block(0)] : [more(), block(1)]), ok({}))(request);
    };
    const { error } = await fetchFrom({ get }, { streams: 2, retry: NEVER });
    expect(error.code).toBe('protocol-violation');
  });

  test('more blocks than were asked for', async () => {
    const script: Script = {
      get: async (request) => {
        // The first time it goes away after a block; then the rest is asked for, and all is sent.
        if (request.header['from-block'] !== undefined) return saying(more(), block(0), block(1))(request);
        await saying(more(), block(0))(request);
        request.socket.end();
      },
    };
    const { error, server } = await fetchFrom(script);
    expect(error.code).toBe('protocol-violation');
    expect(server.requests.filter(({ header }) => header['action'] === 'get')[1]?.header).toMatchObject({
      'from-block': 1,
      'block-count': 2,
      'if-match': 'e',
    });
  });

  test('nothing but progress: whoever waits may leave', async () => {
    const controller = new AbortController();
    let sent = 0;
    const { error } = await fetchFrom(
      {
        get: async ({ answer, socket }) => {
          while (!socket.destroyed && !controller.signal.aborted) {
            await answer({ status: 'progress', held: 1 });
            if ((sent += 1) === 1_000) controller.abort();
          }
        },
      },
      { signal: controller.signal },
    );
    expect(error.code).toBe('aborted');
  });
});

describe('an upload to a server that answers', () => {
  const begun: Script = {
    put: saying(ok({ upload: 'u', base: 'none' })),
    block: saying(ok({})),
  };
  const receipt = {
    path: 'file',
    size: content.length,
    digest: whole,
    'mtime-ms': 0,
    etag: 'e',
    durability: 'disk',
  };

  async function sendTo(script: Script) {
    const { connector, server } = await connected(script);
    const file = join(await temporaryDirectory(), 'source');
    await writeFile(file, content);
    return { server, sending: send(connector, file, 'file') };
  }

  test('honestly', async () => {
    const { sending, server } = await sendTo({ ...begun, commit: saying(ok(receipt)) });
    expect(await sending).toMatchObject({ sentBytes: content.length, receipt: { digest: whole } });
    expect(server.requests.map(({ header }) => header['action'])).toEqual([
      'put',
      'block',
      'block',
      'block',
      'commit',
    ]);
  });

  test.each<[string, Script, ErrorCode]>([
    [
      'a receipt for another file',
      { commit: saying(ok({ ...receipt, digest: fileDigest('sha256', []) })) },
      'digest-mismatch',
    ],
    ['a receipt for another size', { commit: saying(ok({ ...receipt, size: 1 })) }, 'digest-mismatch'],
    [
      'a receipt that is not for the disk, as it was asked',
      { commit: saying(ok({ ...receipt, durability: 'memory' })) },
      'protocol-violation',
    ],
    ['a receipt that is none', { commit: saying(ok({})) }, 'protocol-violation'],
    ['no upload', { put: saying(ok({})) }, 'protocol-violation'],
    [
      'half a digest',
      { put: saying([{ status: 'more' }, Buffer.alloc(33)], ok({ upload: 'u', base: 'none' })) },
      'protocol-violation',
    ],
    [
      'incomplete for ever',
      { commit: saying([{ status: 'error', code: 'incomplete', message: 'No.', retryable: true }]) },
      'incomplete',
    ],
    [
      'that no block is right',
      { block: saying([{ status: 'error', code: 'digest-mismatch', message: 'No.', retryable: true }]) },
      'digest-mismatch',
    ],
    [
      'that the upload is unknown',
      { block: saying([{ status: 'error', code: 'unknown-upload', message: 'No.', retryable: true }]) },
      'unknown-upload',
    ],
  ])('%s', async (_, script, code) => {
    const { sending } = await sendTo({ ...begun, ...script });
    const error = await failureOf(sending);
    expect(error.code === 'retries-exhausted' ? error.details['lastCode'] : error.code).toBe(code);
  });
});

describe('a small file whose receipt is for the memory of the server', () => {
  const small = Buffer.from('small');
  const receipt = {
    path: 'file',
    size: small.length,
    digest: fileDigest('sha256', [blockDigest('sha256', small)]),
    'mtime-ms': 0,
    etag: 'e',
    durability: 'memory',
  };

  test.each([{}, { durability: 'disk' }] as const)('is not done where %j was asked', async (options) => {
    const { connector } = await connected({ put: saying(ok(receipt)) });
    const client = await connector.use();
    const error = await failureOf(client.put('file', small, options));
    expect(error.code).toBe('protocol-violation');
  });

  test('is received where that was asked', async () => {
    const { connector } = await connected({ put: saying(ok(receipt)) });
    const client = await connector.use();
    expect(await client.put('file', small, { durability: 'memory' })).toMatchObject({ durability: 'memory' });
  });
});

describe('a listing that names', () => {
  const entry = { type: 'file', size: 1, 'mtime-ms': 0, mode: 0o644 };
  const PLACES = [
    '../up',
    'a/../../b',
    '/etc/passwd',
    'a//b',
    '.',
    '',
    'a/',
    'nul\0',
    'esc\u001b[2J',
    5,
    null,
  ];

  test.each(PLACES)('%j is refused', async (path) => {
    const page = (key: string, item: unknown) =>
      saying(ok({}, Buffer.from(JSON.stringify({ [key]: [item] }))));
    const { connector } = await connected({
      list: page('entries', { ...entry, path }),
      search: page('result', path),
    });
    const client = await connector.use();
    expect((await failureOf(Array.fromAsync(client.list('')))).code).toBe('protocol-violation');
    expect((await failureOf(Array.fromAsync(client.search('x')))).code).toBe('protocol-violation');
  });

  test.each(['{', '[]', '{"entries":{}}', '{"entries":[7]}', 'null', '\u00ff'])(
    'nothing, as %j, is refused',
    async (text) => {
      const { connector } = await connected({ list: saying(ok({}, Buffer.from(text, 'latin1'))) });
      const client = await connector.use();
      expect((await failureOf(Array.fromAsync(client.list('')))).code).toBe('protocol-violation');
    },
  );
});

test('the mode of a file may tell its type as well, which is passed over', async () => {
  const entry = { path: 'a', type: 'file', size: 1, 'mtime-ms': 0, mode: 0o100644 };
  const { connector } = await connected({
    list: saying(ok({}, Buffer.from(JSON.stringify({ entries: [entry] })))),
    stat: saying(ok(entry)),
  });
  const client = await connector.use();
  expect(await Array.fromAsync(client.list(''))).toMatchObject([{ path: 'a', mode: 0o644 }]);
  expect(await client.stat('a')).toMatchObject({ mode: 0o644 });
});

describe('a connection to a server that', () => {
  const hello = (change: Record<string, unknown>): Script => ({ hello: saying([{ ...HELLO, ...change }]) });
  const raw = (bytes: Buffer | string): Script => ({ hello: ({ socket }) => void socket.write(bytes) });

  test.each<[string, Script, ErrorCode[]]>([
    ['speaks another version', hello({ protocol: 2 }), ['protocol-violation']],
    ['has other blocks', hello({ 'block-size': 4_096 }), ['protocol-violation']],
    ['takes no requests', hello({ 'max-requests': 0 }), ['protocol-violation']],
    ['hashes as nobody does', hello({ digest: 'md5' }), ['protocol-violation']],
    [
      'knows nobody',
      hello({ status: 'error', code: 'unauthenticated', message: 'Who?', retryable: false }),
      ['unauthenticated'],
    ],
    ['sends garbage', raw(noise(100)), ['bad-frame', 'bad-header', 'header-too-large']],
    ['answers in HTTP', raw('HTTP/1.1 400 Bad Request\r\n\r\n'), ['bad-frame', 'header-too-large']],
    ['sends a header of no length', raw(Buffer.alloc(2)), ['bad-frame', 'bad-header']],
    [
      'sends a content beyond all limits',
      raw(
        frame(
          '{"byteorder":"little","content-length":1048577,"content-type":"a/b","content-encoding":"binary"}',
        ),
      ),
      ['content-too-large'],
    ],
    ['sends JSON that is no object', raw(frame('[1]')), ['bad-header']],
    ['ends at once', { hello: ({ socket }) => void socket.end() }, ['connection-lost']],
    [
      'ends in the middle of a message',
      { hello: ({ socket }) => void socket.end(Buffer.from([0, 50, 0x7b])) },
      ['connection-lost', 'bad-frame'],
    ],
  ])('%s fails clearly', async (_, script, codes) => {
    const { connector } = await connected(script);
    const error = await failureOf(connector.use());
    expect(codes).toContain(error.code);
    expect(error.message).not.toBe('');
  });

  test('never answers the hello is given up in time', async () => {
    const clock = new FakeClock();
    const { connector, server } = await connected({ hello: () => undefined }, { clock });
    const using = failureOf(connector.use());
    expect(server.requests).toEqual([]);
    let settled = false;
    void using.then(() => (settled = true));
    for (let turns = 0; !settled; turns += 1) {
      // Time passes only when TLS stands, which the kernel does in its own.
      if (connector.hasConnected && turns > 100) clock.advance(20_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await using).code).toBe('stalled');
  });
});

function frame(header: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(header.length);
  return Buffer.concat([length, Buffer.from(header)]);
}
