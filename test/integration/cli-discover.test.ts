import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { CliHome, SEALIFT } from '../support/cli.ts';

// A network of its own between two namespaces: nobody else's servers are in it, and none of ours gets out.
const NAMES = [`sealift-a-${process.pid}`, `sealift-b-${process.pid}`] as const;
const canSeparate = ip('netns', 'add', NAMES[0]) && ip('netns', 'add', NAMES[1]);

const home = new CliHome();
beforeAll(() => {
  if (!canSeparate) return;
  const [near, far] = NAMES;
  expect(ip('-n', near, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', far)).toBe(
    true,
  );
  for (const [index, name] of NAMES.entries()) {
    expect(ip('-n', name, 'address', 'add', `198.51.100.${index + 1}/24`, 'dev', 'wire')).toBe(true);
    for (const device of ['lo', 'wire']) expect(ip('-n', name, 'link', 'set', device, 'up')).toBe(true);
  }
  // The kernel takes up to a second to notice that both ends are there, and drops what is sent until then.
  let looks = 0;
  while (!NAMES.every(carries) && looks < 1_000) looks += 1;
  expect(NAMES.map(carries)).toEqual([true, true]);
});
afterAll(async () => {
  await home.close();
  for (const name of NAMES) ip('netns', 'delete', name);
});

test.skipIf(!canSeparate)(
  'discover finds servers of its own machine and of another, by multicast and by broadcast',
  async () => {
    const [near, far] = NAMES;
    const servers = [near, far].map((name, index) =>
      inside(name, 'serve', `root-${index}`, '--json', '--port', '7433', '--announce', '--broadcast'),
    );
    const pins = await Promise.all(servers.map(async (server) => (await server.event('listening'))['pin']));
    const finds = await Promise.all(
      // By multicast an answer may come a second later, by broadcast it comes at once.
      [
        ['--timeout', '1500ms'],
        ['--timeout', '700ms', '--broadcast'],
      ].map((args) => inside(near, 'discover', '--json', ...args).ended),
    );
    for (const { code, stdout, stderr } of finds) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const found = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(found.map(({ pin }) => pin).sort()).toEqual(pins.sort());
      const other = found.find(({ addresses }) => (addresses as string[]).includes('198.51.100.2'));
      expect(other).toMatchObject({ type: 'server', port: 7433 });
    }
    const told = await inside(near, 'discover', '--timeout', '700ms', '--broadcast').ended;
    expect(told.stdout).toContain("  trust  sealift trust 198.51.100.2:7433 --pin 'sha256//");
    expect(told.stderr).toMatch(/^Anybody on this network can announce anything\./);
    const ends = await Promise.all(servers.map((server) => server.kill('SIGTERM')));
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    const silence = await inside(near, 'discover', '--timeout', '100ms').ended;
    expect(silence).toMatchObject({ code: 0, stdout: '' });
    expect(silence.stderr).toBe('sealift: no server announced itself within 100ms.\n');
  },
);

function inside(namespace: string, ...args: string[]) {
  return home.startCommand(['ip', 'netns', 'exec', namespace, ...SEALIFT, ...args]);
}

function carries(namespace: string): boolean {
  return spawnSync('ip', ['-n', namespace, 'link', 'show', 'wire']).stdout.includes('state UP');
}

function ip(...args: string[]): boolean {
  return spawnSync('ip', args).status === 0;
}
