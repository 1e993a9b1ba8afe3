import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

test('every flag is known to this Node: V8 does not complain', () => {
  const module = resolve('src/cli/garbage-collection.ts');
  const script = `const all = await import(${JSON.stringify(module)});
    for (const suit of Object.values(all)) suit();`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--no-warnings', '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});
