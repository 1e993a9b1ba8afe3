import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isInstalled } from '../support/installed.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const home = new CliHome();
let server: ServeProcess;

/** What the README shows behind the mark of an example. */
function example(name: string): string {
  const text = new RegExp(`<!-- example: nightly ${name} -->\\s*\`\`\`\\w+\\n(.*?)\`\`\``, 's').exec(
    README,
  )?.[1];
  if (text === undefined) throw new Error(`The README shows no nightly ${name}.`);
  return text;
}

beforeAll(async () => {
  // A lock needs somebody who holds it.
  const token = 'a token of sixty-four characters would do as well as this one does';
  const hash = createHash('sha256').update(token).digest('hex');
  const permissions = '["read", "write", "list", "delete"]';
  const users = `[principals.backup]\npermissions = ${permissions}\ntokens = ["sha256:${hash}"]\n`;
  server = await home.serve(['--users', home.write('users.toml', users)]);
  home.env['SEALIFT_TOKEN'] = token;
  home.write('data/kept.txt', 'kept');
  home.write('data/left-out.tmp', 'left out');
  home.write('data/cache/left-out', 'left out');
  const config = example('config')
    .replace('"/srv/data"', JSON.stringify(home.at('data')))
    .replace('"box:data"', JSON.stringify(server.place('data')))
    .replace('"/var/log/sealift-nightly.log"', JSON.stringify(home.at('nightly.log')));
  expect(config).not.toBe(example('config'));
  home.write('config/sealift/config.toml', config);
  home.write(
    'bin/sealift',
    `#!/bin/sh\nexec ${process.execPath} --no-warnings ${join(ROOT, 'src/cli/main.ts')} "$@"\n`,
  );
  chmodSync(home.at('bin/sealift'), 0o755);
});
afterAll(() => home.close());

test('the lines for cron say nothing when all is well, and the file is there', async () => {
  const lines = example('crontab').trim().split('\n');
  expect(lines.shift()).toMatch(/^PATH=/);
  for (const line of lines) {
    const command = /^(?:\S+ ){5}(.*)$/.exec(line)?.[1] ?? '';
    const env = { ...home.env, PATH: `${home.at('bin')}:/usr/bin:/bin` };
    const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-c', command], { env });
    expect({ line, stdout, stderr }).toEqual({ line, stdout: '', stderr: '' });
  }
  expect((await home.run(['ls', '-r', server.place('data')])).stdout).toBe('data/kept.txt\n');
  expect(home.read('nightly.log').toString()).toContain('"exitCode":0');
});

test('the line for cron that watches says so when there was no good run', async () => {
  const command = /^(?:\S+ ){5}(sealift status.*)$/m.exec(example('crontab'))?.[1] ?? '';
  const env = { ...home.env, PATH: `${home.at('bin')}:/usr/bin:/bin`, XDG_STATE_HOME: home.at('nowhere') };
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], { env });
  expect(stdout).toBe('no good backup since yesterday\n');
});

const hasSystemd = isInstalled('systemd-analyze', '--version');

test.skipIf(!hasSystemd)('systemd finds nothing to say of the service and the timer', async () => {
  const service = example('service').replace('/usr/local/bin/sealift', home.at('bin/sealift'));
  home.write('units/sealift-nightly.service', service);
  home.write('units/sealift-nightly.timer', example('timer'));
  const units = ['service', 'timer'].map((kind) => home.at(`units/sealift-nightly.${kind}`));
  const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', ...units]);
  expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
});
