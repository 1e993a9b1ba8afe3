import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { CliHome } from '../support/cli.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const home = new CliHome();
afterAll(() => home.close());

/** The commands that the README shows, as they stand there. */
function example(): string {
  const text = /<!-- example: mutual tls -->\s*```sh\n(.*?)```/s.exec(README)?.[1];
  if (text === undefined) throw new Error('The README shows no mutual TLS.');
  return text;
}

/** A port that nobody listens on: the commands name none, and somebody else may have the usual one. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('mutual TLS in five commands: run as they stand there, they make one directory like the other', async () => {
  expect(example().trim().split('\n')).toHaveLength(5);
  home.write(
    'bin/sealift',
    `#!/bin/sh\nexec ${process.execPath} --no-warnings ${join(ROOT, 'src/cli/main.ts')} "$@"\n`,
  );
  chmodSync(home.at('bin/sealift'), 0o755);
  const port = await freePort();
  // For the client, localhost is a saved remote with that port, of which it knows nothing else.
  home.write('config/sealift/remotes.toml', `[remote.localhost]\naddress = "localhost:${port}"\n`);
  home.write('fresh/photos/2026/sea.jpg', Buffer.alloc(3_000_000, 'sea'));
  home.write('fresh/photos/empty', '');
  mkdirSync(home.at('fresh/photos/later'));
  const script = `set -e\ntrap 'kill $!; wait $!' EXIT\n${example()}`;
  const env = {
    ...home.env,
    PATH: `${home.at('bin')}:/usr/bin:/bin`,
    SEALIFT_PORT: String(port),
    // Should there be no server, nothing goes on trying when the test is long over.
    SEALIFT_RETRY_MAX_TIME: '10s',
  };
  const { stderr } = await promisify(execFile)('/bin/sh', ['-c', script], { cwd: home.at('fresh'), env });
  expect(stderr).toMatch(/"principal":"laptop".*"tls":"TLSv1.3".*"msg":"login"/);
  execFileSync('diff', ['-r', 'photos', 'served/photos'], { cwd: home.at('fresh') });
});
