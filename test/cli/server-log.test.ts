import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

/** What a process that runs `script` with a log of `serve` has written to it. */
function logged(script: string): { status: number | null; signal: string | null; lines: unknown[] } {
  const module = JSON.stringify(resolve('src/cli/server-log.ts'));
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    [
      '--no-warnings',
      '--input-type=module',
      '--eval',
      `const { serverLogger } = await import(${module});
      const logger = serverLogger({ verbose: false, quiet: false });
      ${script}`,
    ],
    { encoding: 'utf8' },
  );
  const lines = stderr.split('\n').filter((line) => line !== '');
  return { status, signal, lines: lines.map((line) => (JSON.parse(line) as { msg: unknown }).msg) };
}

test('all that was said in a turn is written, in its order, however much', () => {
  const { status, lines } = logged(`
    for (let n = 0; n < 2000; n += 1) logger.info({ filled: 'x'.repeat(100) }, String(n));`);
  expect(status).toBe(0);
  expect(lines).toEqual(Array.from({ length: 2_000 }, (_, n) => String(n)));
});

test('what is said in the turn in which the process ends is written', () => {
  const { status, lines } = logged(`logger.info({}, 'one'); logger.info({}, 'two'); process.exit(3);`);
  expect({ status, lines }).toEqual({ status: 3, lines: ['one', 'two'] });
});

test('what was said in a turn before is written when the process is killed', () => {
  const { signal, lines } = logged(`
    logger.info({}, 'one');
    await new Promise((resolve) => setImmediate(resolve));
    logger.info({}, 'two');
    await new Promise((resolve) => setImmediate(resolve));
    process.kill(process.pid, 'SIGKILL');`);
  expect({ signal, lines }).toEqual({ signal: 'SIGKILL', lines: ['one', 'two'] });
});
