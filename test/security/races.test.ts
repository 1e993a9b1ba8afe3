import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { encodeMessage } from '../../src/protocol/encoder.ts';
import { errorCodes, startAttackedServer } from '../support/attacked-server.ts';
import type { RawClient } from '../support/raw-client.ts';
import { blockRequest, blocksOf, commitRequest, fileDigestOf, inlinePut } from '../support/raw-files.ts';

const contentOf = (letter: string) => Buffer.alloc(1_048_576 + 100, letter);
const outcome = ({ header }: { header: Record<string, unknown> }) => header['code'] ?? header['status'];

async function uploaded(client: RawClient, path: string, content: Buffer, fields = {}): Promise<unknown> {
  const { upload } = (await client.askOk('put', { path, size: content.length, ...fields })).header;
  for (const [index, block] of blocksOf(content).entries())
    await client.askOk(...blockRequest(upload, index, block));
  return upload;
}

describe('hazard 21: two who put the same name', () => {
  test('with "absent" exactly one wins, inline and in blocks', async () => {
    const { login, root } = await startAttackedServer();
    const clients = await Promise.all(['a', 'b', 'c', 'd'].map(() => login()));
    for (let round = 0; round < 15; round += 1) {
      const inline = await Promise.all(
        clients.map((client, index) =>
          client.ask(...inlinePut(`inline${round}`, `${index}`, { if: 'absent' })),
        ),
      );
      expect(inline.map(outcome).sort()).toEqual(['exists', 'exists', 'exists', 'ok']);
      const winner = inline.findIndex((answer) => outcome(answer) === 'ok');
      expect(readFileSync(join(root, `inline${round}`), 'utf8')).toBe(`${winner}`);
    }
    const contents = ['a', 'b', 'c', 'd'].map(contentOf);
    const uploads = await Promise.all(
      clients.map((client, index) => uploaded(client, 'blocks', contents[index] as Buffer, { if: 'absent' })),
    );
    const answers = await Promise.all(
      clients.map((client, index) => client.ask(...commitRequest(uploads[index], contents[index] as Buffer))),
    );
    expect(answers.map(outcome).sort()).toEqual(['exists', 'exists', 'exists', 'ok']);
  });

  test('otherwise a reader has one of them whole, and never a mixture', async () => {
    const { login } = await startAttackedServer();
    const writers = await Promise.all(['a', 'b'].map(() => login()));
    const reader = await login();
    const contents = ['a', 'b'].map(contentOf);
    const digests = contents.map(fileDigestOf);
    await reader.askOk('put', { path: 'x', size: null });
    const first = await uploaded(writers[0] as RawClient, 'file', contents[0] as Buffer);
    await writers[0]?.askOk(...commitRequest(first, contents[0] as Buffer));
    let isWriting = true;
    const writing = Promise.all(
      writers.map(async (client, index) => {
        const content = contents[index] as Buffer;
        for (let round = 0; round < 6; round += 1) {
          const upload = await uploaded(client, 'file', content);
          await client.askOk(...commitRequest(upload, content));
        }
      }),
    ).finally(() => (isWriting = false));
    while (isWriting) {
      const { header, parts } = await reader.askOk('get', { path: 'file' });
      const read = Buffer.concat(parts.slice(1).map(({ content }) => content));
      expect(digests).toContain(fileDigestOf(read));
      expect(header['digest']).toBe(fileDigestOf(read));
    }
    await writing;
  });

  test('put, commit, remove and move at once leave something whole or nothing', async () => {
    const { login, log } = await startAttackedServer();
    const clients = (await Promise.all(['p', 'c', 'r', 'm'].map(() => login()))) as [
      RawClient,
      RawClient,
      RawClient,
      RawClient,
    ];
    const content = contentOf('u');
    for (let round = 0; round < 15; round += 1) {
      const upload = await uploaded(clients[1], 'tree/file', content);
      const answers = await Promise.all([
        clients[0].ask(...inlinePut('tree/file', 'inline')),
        clients[1].ask(...commitRequest(upload, content)),
        clients[2].ask('remove', { path: 'tree', recursive: true }),
        clients[3].ask('move', { path: 'tree', to: `moved${round % 2}/tree` }),
      ]);
      for (const answer of answers)
        expect(['ok', 'not-found', 'not-empty', 'not-directory', 'exists', 'busy']).toContain(
          outcome(answer),
        );
      for (const path of ['tree/file', 'moved0/tree/file', 'moved1/tree/file']) {
        const stat = await clients[0].ask('stat', { path, digest: true });
        if (outcome(stat) === 'ok')
          expect([fileDigestOf(content), fileDigestOf(Buffer.from('inline'))]).toContain(
            stat.header['digest'],
          );
      }
      for (const path of ['moved0', 'moved1']) await clients[2].ask('remove', { path, recursive: true });
    }
    expect(clients.flatMap(errorCodes)).not.toContain('internal');
    expect(log()).not.toContain('"level":50');
  });
});

describe('hazard 22: an answer that was lost', () => {
  test('a commit said twice, at once or later, is one publication and one receipt', async () => {
    const { login } = await startAttackedServer();
    const client = await login();
    const other = await login();
    const content = contentOf('x');
    for (let round = 0; round < 10; round += 1) {
      const upload = await uploaded(client, `file${round}`, content);
      const [action, fields] = commitRequest(upload, content);
      const message = (id: number) => encodeMessage({ fields: { action, id, ...fields } });
      client.write(Buffer.concat([message(1001), message(1002)]));
      const answers = await Promise.all([
        client.answer(1001),
        client.answer(1002),
        other.ask(action, fields),
      ]);
      answers.push(await other.ask(action, fields));
      expect(answers.map(outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
      expect(new Set(answers.map(({ header }) => header['etag'])).size).toBe(1);
    }
  });

  test('a block, an abort and a takeover that meet a commit harm nothing', async () => {
    const { login, root } = await startAttackedServer();
    const [client, other] = [await login(), await login()];
    const content = contentOf('x');
    const key = { 'resume-key': 'b'.repeat(32) };
    for (let round = 0; round < 10; round += 1) {
      const path = `file${round}`;
      const upload = await uploaded(client, path, content, key);
      const committing = client.ask(...commitRequest(upload, content));
      const meddling = [
        other.ask(...blockRequest(upload, 0, Buffer.alloc(1_048_576, 'y'))),
        ...(round % 2 === 0
          ? [other.ask('put', { path, size: content.length, ...key })]
          : [other.ask('abort', { upload })]),
      ];
      const committed = outcome(await committing);
      await Promise.all(meddling);
      if (committed === 'ok') expect(readFileSync(join(root, path)).equals(content)).toBe(true);
      else expect(['incomplete', 'digest-mismatch', 'superseded', 'unknown-upload']).toContain(committed);
    }
    expect([...errorCodes(client), ...errorCodes(other)]).not.toContain('internal');
  });
});

describe('hazard 19: an old connection that ends late', () => {
  test('a client that came back on another one keeps what it finished', async () => {
    const { login, root } = await startAttackedServer();
    const content = contentOf('x');
    const put = { path: 'file', size: content.length, 'resume-key': 'c'.repeat(32) };
    const old = await login();
    const { upload } = (await old.askOk('put', put)).header;
    await old.askOk(...blockRequest(upload, 0, blocksOf(content)[0] as Uint8Array));
    const again = await login();
    const resumed = await again.askOk('put', put);
    expect(resumed.header['base']).toBe('partial');
    // The old one does not know yet, and goes on.
    expect(outcome(await old.ask(...blockRequest(upload, 1, blocksOf(content)[1] as Uint8Array)))).toBe(
      'superseded',
    );
    await again.askOk(...blockRequest(resumed.header['upload'], 1, blocksOf(content)[1] as Uint8Array));
    await again.askOk(...commitRequest(resumed.header['upload'], content));
    expect(outcome(await old.ask('abort', { upload }))).toBe('superseded');
    await old.destroy();
    await again.ask('ping');
    expect(readFileSync(join(root, 'file')).equals(content)).toBe(true);
  });
});

describe('hazard 30: leaving in the middle', () => {
  test('clients that go away while anything is under way end nothing but themselves', async () => {
    const { login, assertAlive, root } = await startAttackedServer();
    const writer = await login();
    const content = Buffer.alloc(4 * 1_048_576, 'x');
    const upload = await uploaded(writer, 'large', content);
    await writer.askOk(...commitRequest(upload, content));
    for (let round = 0; round < 30; round += 1) {
      const leaving = await login();
      const ids = [
        leaving.begin('get', { path: 'large' }),
        leaving.begin('digests', { path: 'large' }),
        leaving.begin('list', { path: '', recursive: true }),
        leaving.begin('put', { path: 'half', size: content.length }),
        leaving.begin('get', { path: 'large' }),
      ];
      if (round % 2 === 0) await leaving.take(({ header }) => header['id'] === ids[0]);
      if (round % 3 === 0) leaving.begin('cancel', { target: ids[4] });
      await leaving.destroy();
    }
    await assertAlive();
    expect(readFileSync(join(root, 'large')).equals(content)).toBe(true);
  });
});
