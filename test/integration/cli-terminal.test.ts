import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';

const ESCAPE = '\u001b';
const WRAP_ON = `${ESCAPE}[?7h`;
const WRAP_OFF = `${ESCAPE}[?7l`;
const LIMIT = ['--bwlimit', '4M'];
const home = new CliHome();
let server: ServeProcess;
let sources: string[];

beforeAll(async () => {
  server = await home.serve();
  sources = [`a name that is far too long for its place ${'x'.repeat(99)}`, '😀'.repeat(20)].map((name) =>
    home.write(name, randomBytes(3 * 2 ** 20)),
  );
});
afterAll(() => home.close());

/** What a terminal was told, without what moves its cursor: one string for each piece that it shows in a line. */
function pieces(output: string): string[] {
  // eslint-disable-next-line no-control-regex -- these are what a terminal obeys
  return output.split(/\u001b\[[?\d;]*[A-Za-z]|[\r\n]+/).filter((piece) => piece.trim() !== '');
}

const columns = (text: string) => [...text].reduce((sum, character) => sum + (character === '😀' ? 2 : 1), 0);

describe('on a terminal', () => {
  test('there are bars for the file and for all; they fit, go forward, and are gone in the end', async () => {
    const { code, stdout } = await home.inTerminal(['put', ...LIMIT, ...sources, server.place('bars/')])
      .ended;
    expect(code).toBe(0);
    const bars = pieces(stdout).filter((piece) => /\[[= ]+\]/.test(piece));
    expect(bars.some((bar) => bar.startsWith('…xxx'))).toBe(true);
    expect(bars.some((bar) => bar.startsWith('…😀'))).toBe(true);
    expect(bars.some((bar) => /^\d of 2 files /.test(bar))).toBe(true);
    expect(bars.some((bar) => /\d+% +[\d.]+[BKM]\/[\d.]+M +[\d.]+[BKM]\/s ETA \d/.test(bar))).toBe(true);
    for (const bar of bars) expect(columns(bar)).toBeLessThanOrEqual(80);

    const totals = bars.filter((bar) => / of 2 /.test(bar)).map((bar) => Number(/(\d+)%/.exec(bar)?.[1]));
    expect(totals.length).toBeGreaterThan(2);
    expect(totals).toEqual([...totals].sort((a, b) => a - b));

    // The cursor is there again, and lines wrap again.
    expect(stdout.lastIndexOf(`${ESCAPE}[?25h`)).toBeGreaterThan(stdout.lastIndexOf(`${ESCAPE}[?25l`));
    expect(stdout.lastIndexOf(WRAP_ON)).toBeGreaterThan(stdout.lastIndexOf(WRAP_OFF));
    expect(pieces(stdout).at(-1)).toMatch(/^2 of 2 files, 6\.0M in /);
  });

  test('a size that is not known is said to be counted', async () => {
    const put = `${SEALIFT.join(' ')} put ${LIMIT.join(' ')} - ${server.place('counted')} < '${sources[0]}'`;
    const { stdout } = await home.startCommand([
      'script',
      '--quiet',
      '--return',
      '--command',
      put,
      '/dev/null',
    ]).ended;
    expect(pieces(stdout).some((piece) => piece.endsWith('still counting'))).toBe(true);
  });

  test('a failure that is longer than a line is shown to its end', async () => {
    const missing = home.at(`${'missing'.repeat(20)}.txt`);
    const { code, stdout } = await home.inTerminal(['put', missing, server.place('x')]).ended;
    expect(code).toBe(4);
    const start = stdout.indexOf('sealift: put: local-not-found');
    expect(stdout.slice(start)).toContain(`${missing} does not exist.`);
    expect(stdout.lastIndexOf(WRAP_ON, start)).toBeGreaterThan(stdout.lastIndexOf(WRAP_OFF, start));
  });

  test.each([['--no-progress'], ['--quiet'], ['--json']])('with %s there are none', async (flag) => {
    const { code, stdout } = await home.inTerminal(['put', flag, ...sources, server.place('none/')]).ended;
    expect(code).toBe(0);
    expect(stdout).not.toContain(ESCAPE);
  });
});

test('without a terminal there is a line for each file, and nothing else', async () => {
  const { stdout, stderr } = await home.run(['put', ...sources, server.place('lines/')]);
  expect(stdout).toBe('');
  expect(stderr.split('\n')).toHaveLength(sources.length + 2);
  expect(stderr).not.toContain(ESCAPE);
});

describe('the log of serve', () => {
  const COLOR = new RegExp(`${ESCAPE}\\[\\d+m`);
  const serve = async (name: string, env: Record<string, string>) => {
    const command = ['serve', home.at(name), '--host', '127.0.0.1', '--port', '0', '--anonymous', 'read'];
    const started = home.inTerminal(command, { env });
    const said = started.line((line) => line.includes('with the pin'));
    const port = /127\.0\.0\.1:(\d+)/.exec(await said)?.[1];
    const connection = await RawClient.connect({ address: { host: '127.0.0.1', port: Number(port) } });
    await home.run(['ls', '-q', '--insecure', `sealift://127.0.0.1:${port}/`]);
    const line = await started.line((text) => text.includes('login'));
    // The server goes with its terminal.
    await started.kill('SIGKILL');
    await connection.closed;
    return line;
  };

  test('is for people on a terminal, in colour', async () => {
    const line = await serve('colour', {});
    expect(line).toMatch(COLOR);
    expect(line).not.toContain('{"level"');
  });

  test('has no colour with NO_COLOR', async () => {
    expect(await serve('plain', { NO_COLOR: '1' })).not.toMatch(COLOR);
  });

  test('is JSON elsewhere', async () => {
    await home.run(['ls', server.place()]);
    const line = await server.process.line((text) => text.includes('"msg":"login"'));
    expect(JSON.parse(line)).toMatchObject({ level: 'info', msg: 'login', address: '127.0.0.1' });
  });
});
