import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { startAttackedServer } from '../support/attacked-server.ts';
import { CliHome } from '../support/cli.ts';
import { RawClient } from '../support/raw-client.ts';
import { inlinePut } from '../support/raw-files.ts';
import { rawMessage } from '../protocol/frames.ts';

describe('hazard 35: secrets in logs and errors', () => {
  test('a whole life of a token shows it to nobody but its owner, once', async () => {
    const { connect, server, root, log } = await startAttackedServer({ users: undefined });
    const code = await server.issueJoinCode();
    const joined = await connect();
    const token = String((await joined.hello({ join: code })).header['token']);
    const wrong = `${token.slice(0, -6)}wrong1`;

    const others = [];
    for (const fields of [
      { token },
      { token: wrong },
      { join: code },
      { join: wrong },
      { token: [token] },
      { token: { token } },
      { token, join: 7 },
      { token, protocol: 2 },
      { token: token.repeat(50) },
      { token, agent: 5 },
    ]) {
      const client = await connect();
      await client.hello(fields);
      others.push(client);
    }
    const user = await connect();
    await user.hello({ token });
    await user.ask(...inlinePut('file', 'x'));
    await user.ask('get', { path: `../${'x'.repeat(10)}` });
    await user.hello({ token });
    const broken = await connect();
    broken.write(rawMessage(`{"action":"hello","id":1,"protocol":1,"agent":"x","token":"${token}"`));
    await broken.ended();
    const huge = await connect();
    huge.write(`~~{"token":"${token}"}`);
    await huge.ended();

    const answers = [...others, user, broken, huge].flatMap(({ messages }) =>
      messages.map(({ header, content }) => JSON.stringify(header) + content.toString()),
    );
    for (const secret of [token, wrong, code, token.slice(8)]) {
      expect(log()).not.toContain(secret);
      expect(answers.join('\n')).not.toContain(secret);
    }
    expect(log()).toContain('login refused');
    // Kept as a hash only, where nobody else may look.
    const users = join(root, '.sealift/users.toml');
    expect(readFileSync(users, 'utf8')).not.toContain(token.slice(8));
    expect(statSync(users).mode & 0o077).toBe(0);
    const identity = join(root, '.sealift/identity');
    for (const name of readdirSync(identity).filter((each) => each.includes('key')))
      expect(statSync(join(identity, name)).mode & 0o077).toBe(0);
  });

  test('errors tell no path of the server and no stack', async () => {
    const { login, root, log } = await startAttackedServer();
    const client = await login();
    await client.ask('mkdir', { path: 'dir' });
    for (const [action, fields] of [
      ['get', { path: 'missing' }],
      ['get', { path: 'dir' }],
      ['list', { path: 'missing' }],
      ['remove', { path: 'missing/below' }],
      ['move', { path: 'dir', to: 'dir/into' }],
      ['symlink', { path: 'dir', target: 'x' }],
      ['get', { path: '.sealift/users.toml' }],
      ['abort', { upload: 'none' }],
      ['set', { path: 'dir', 'mtime-ms': 8_640_000_000_000_000 }],
      ['set', { path: 'dir', 'mtime-ms': -8_640_000_000_000_000 }],
      ['lock', { name: 'x', 'ttl-ms': 1 }],
      ['get', { path: 'dir', version: '1' }],
    ] as const)
      await client.ask(action, fields);
    const texts = client.messages.map(({ header }) => JSON.stringify(header)).join('\n');
    expect(texts).not.toContain(root);
    expect(texts).not.toMatch(/\/proc\/|node:|\bat .*:\d+:\d+|E[A-Z]{4,}/);
    expect(texts).not.toContain('internal');
    expect(log()).not.toContain('"level":50');
  });
});

describe('hazard 35: secrets in files that are damaged', () => {
  test.each([
    ['the saved remotes', 'config/sealift/remotes.toml', ['remote', 'list', '-v']],
    ['the users', 'work/sealift-data/.sealift/users.toml', ['token', 'list', '-v']],
    ['the configuration', 'config/sealift/config.toml', ['remote', 'list', '-v']],
  ])('are not shown by what tells the damage: %s', async (_, file, command) => {
    const home = new CliHome();
    onTestFinished(() => home.close());
    home.write(file, '[remote.box]\ntoken = "sealift_secret"\naddress =\n');
    const { code, stdout, stderr } = await home.run(command);
    expect(code).toBe(2);
    expect(stderr).toContain('.toml, line 3: ');
    expect(stdout + stderr).not.toContain('sealift_secret');
  });
});

describe('hazard 36: forged lines in the log', () => {
  const evil = 'x\n{"level":60,"msg":"forged"}\r\u001b[2J\u001b]0;title\u0007\u0000\u007f';

  test('what a peer says stands in the log as one line of JSON, escaped', async () => {
    const { connect, log } = await startAttackedServer({ anonymous: 'write' });
    const client = await connect();
    await client.hello({ agent: evil.slice(0, 150) });
    for (const [action, fields] of [
      ['get', { path: evil }],
      ['stat', { path: evil, digest: true }],
      [evil, {}],
      ['symlink', { path: 'link', target: evil }],
      ['abort', { upload: evil }],
    ] as [string, Record<string, unknown>][])
      await client.ask(action, fields);
    await client.ask(
      'put',
      { path: 'a', size: 1, digest: `sha256:${'0'.repeat(64)}` },
      { content: Buffer.of(1), contentEncoding: evil.slice(0, 50), contentType: evil.slice(0, 50) },
    );
    const lines = log().split('\n').slice(0, -1);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      expect((JSON.parse(line) as { msg: string }).msg).not.toBe('forged');
      // eslint-disable-next-line no-control-regex -- control characters are what is looked for
      expect(line).not.toMatch(/[\u0000-\u001f]/);
    }
  });
});

describe('hazard 36: what a terminal would obey in the log of serve', () => {
  test.each(['as JSON', 'on a terminal'])('stands there escaped, %s', async (kind) => {
    const home = new CliHome();
    onTestFinished(() => home.close());
    const args = ['serve', home.at('root'), '--host', '127.0.0.1', '--port', '0', '--anonymous', 'read'];
    const serving = kind === 'as JSON' ? home.start(args) : home.inTerminal(args);
    const said = await serving.line((line) => /127\.0\.0\.1:\d+/.test(line));
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
    const client = await RawClient.connect({ address: { host: '127.0.0.1', port } });
    await client.hello({ agent: 'evil\u009b2J\u009d0;title\u009c\u202e\u007f\u001b[2J' });
    await client.destroy();
    const line = await serving.line((each) => each.includes('evil'));
    // Without the colour that a terminal gets after the fields.
    const shown = line.slice(line.indexOf('evil')).replaceAll('\u001b[39m', '').trimEnd();
    expect(shown).toMatch(/^evil\\+u009b2J/);
    expect(shown).not.toMatch(/[\p{Cc}\u202e]/u);
  });
});
