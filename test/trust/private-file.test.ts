import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import {
  assertPrivate,
  readPrivateFile,
  updatePrivateFile,
  writePrivateFile,
} from '../../src/trust/private-file.ts';
import { test } from './scratch.ts';

const mode = async (path: string) => (await stat(path)).mode & 0o777;

describe('reading', () => {
  test('a file that does not exist is undefined, also below a directory that does not', async ({
    directory,
  }) => {
    expect(await readPrivateFile(join(directory, 'none'))).toBeUndefined();
    expect(await readPrivateFile(join(directory, 'no', 'such', 'file'))).toBeUndefined();
  });

  test('an empty file is empty, not missing', async ({ directory }) => {
    await writeFile(join(directory, 'empty'), '');
    expect(await readPrivateFile(join(directory, 'empty'))).toBe('');
  });

  test('what cannot be read is an error, not a missing file', async ({ directory }) => {
    await mkdir(join(directory, 'folder'));
    await writeFile(join(directory, 'file'), '');
    await expect(readPrivateFile(join(directory, 'folder'))).rejects.toMatchObject({ code: 'local-file' });
    await expect(readPrivateFile(join(directory, 'file', 'x'))).rejects.toMatchObject({ code: 'local-file' });
  });

  test('what is no UTF-8 is refused, not repaired', async ({ directory }) => {
    const path = join(directory, 'torn');
    await writeFile(path, Buffer.from([0x61, 0xff, 0x62]));
    await expect(readPrivateFile(path)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining(path),
    });
  });
});

describe('writing', () => {
  test('makes the file 0600 in directories of 0700, and leaves nothing else', async ({ directory }) => {
    const path = join(directory, 'a', 'b', 'state');
    await writePrivateFile(path, 'one');
    expect(await readFile(path, 'utf8')).toBe('one');
    expect(await mode(path)).toBe(0o600);
    expect(await mode(join(directory, 'a'))).toBe(0o700);
    expect(await mode(join(directory, 'a', 'b'))).toBe(0o700);
    expect(await readdir(join(directory, 'a', 'b'))).toEqual(['state']);
  });

  test('replaces a file that others could read by one that they cannot', async ({ directory }) => {
    const path = join(directory, 'state');
    await writeFile(path, 'old', { mode: 0o644 });
    await writePrivateFile(path, 'new');
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await mode(path)).toBe(0o600);
  });

  test('works for a name of 255 bytes', async ({ directory }) => {
    const path = join(directory, 'n'.repeat(255));
    await writePrivateFile(path, 'long');
    await updatePrivateFile(path, (text) => `${text}er`);
    expect(await readPrivateFile(path)).toBe('longer');
    expect(await readdir(directory)).toHaveLength(1);
  });

  test('stays whose it was, also when root changes it', async ({ directory }) => {
    const path = join(directory, 'state');
    await writePrivateFile(path, 'old');
    // Only root can give a file away, and only root could take it.
    const owner = process.getuid?.() === 0 ? 65_534 : (await stat(path)).uid;
    await chown(path, owner, (await stat(path)).gid);
    await updatePrivateFile(path, (text) => `${text}er`);
    expect((await stat(path)).uid).toBe(owner);
    expect(await mode(path)).toBe(0o600);
  });

  test('by root makes a secret of root, whosever the directory is', async ({ directory }) => {
    const user = process.getuid?.() ?? 0;
    if (user === 0) await chown(directory, 65_534, 65_534);
    const path = join(directory, 'keys', 'key.pem');
    await writePrivateFile(path, 'key');
    for (const each of [path, join(directory, 'keys')]) expect((await stat(each)).uid).toBe(user);
  });

  test('follows a symbolic link, so that a linked configuration stays linked', async ({ directory }) => {
    const real = join(directory, 'real');
    const linked = join(directory, 'linked');
    await writeFile(real, 'old');
    await symlink(real, linked);
    await writePrivateFile(linked, 'new');
    await updatePrivateFile(linked, (text) => `${text}er`);
    expect(await readFile(real, 'utf8')).toBe('newer');
    expect((await lstat(linked)).isSymbolicLink()).toBe(true);
  });

  test('that fails is told, and leaves no temporary file', async ({ directory }) => {
    const path = join(directory, 'folder');
    await mkdir(path);
    await expect(writePrivateFile(path, 'x')).rejects.toMatchObject({ code: 'local-file' });
    expect(await readdir(directory)).toEqual(['folder']);

    await writeFile(join(directory, 'file'), '');
    await expect(writePrivateFile(join(directory, 'file', 'x'), '')).rejects.toMatchObject({
      code: 'local-file',
    });
  });

  test('is seen whole or not at all by whoever reads meanwhile', async ({ directory }) => {
    const path = join(directory, 'state');
    const texts = ['a', 'b'].map((letter) => letter.repeat(300_000)) as [string, string];
    await writePrivateFile(path, texts[0]);
    let isWriting = true;
    const writing = (async () => {
      for (let i = 0; i < 20; i += 1) await writePrivateFile(path, texts[i % 2] as string);
      isWriting = false;
    })();
    while (isWriting) expect(texts).toContain(await readPrivateFile(path));
    await writing;
  });
});

test('writing removes what processes that died have left there, and nothing else', async ({ directory }) => {
  const path = join(directory, 'state');
  const now = Date.now() / 1000;
  const files = {
    '.sealift-00112233445566aa.tmp': now - 3_700,
    '.sealift-00112233445566bb.tmp': now - 3_500,
    '.sealift-00112233445566cc.part': now - 3_700,
    'mine.tmp': now - 3_700,
  };
  for (const [name, seconds] of Object.entries(files)) {
    await writeFile(join(directory, name), '');
    await utimes(join(directory, name), seconds, seconds);
  }
  await writePrivateFile(path, 'text');
  const [dead, ...others] = Object.keys(files);
  expect((await readdir(directory)).sort()).toEqual([...others, 'state'].sort());
  expect(await readdir(directory)).not.toContain(dead);
});

describe('updating', () => {
  test('gives the text that is there, or undefined, and resolves to what stands there afterwards', async ({
    directory,
  }) => {
    const path = join(directory, 'new', 'state');
    const seen: (string | undefined)[] = [];
    const append = (text: string | undefined) => {
      seen.push(text);
      return `${text ?? ''}x`;
    };
    expect(await updatePrivateFile(path, append)).toBe('x');
    expect(await updatePrivateFile(path, append)).toBe('xx');
    expect(seen).toEqual([undefined, 'x']);
    expect(await mode(path)).toBe(0o600);
  });

  test('that changes nothing writes nothing', async ({ directory }) => {
    const path = join(directory, 'state');
    expect(await updatePrivateFile(path, () => undefined)).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
    await writeFile(path, 'same');
    const before = await stat(path);
    expect(await updatePrivateFile(path, () => undefined)).toBe('same');
    expect(await updatePrivateFile(path, (text) => text)).toBe('same');
    expect((await stat(path)).ino).toBe(before.ino);
  });

  test('whose change throws leaves the file, and lets the next one pass', async ({ directory }) => {
    const path = join(directory, 'state');
    await writeFile(path, 'kept');
    const refused = new Error('refused');
    const change = () => {
      throw refused;
    };
    await expect(updatePrivateFile(path, change)).rejects.toBe(refused);
    expect(await readPrivateFile(path)).toBe('kept');
    expect(await updatePrivateFile(path, () => 'next')).toBe('next');
    expect(await readdir(directory)).toEqual(['state']);
  });

  test('at once from many callers loses no change', async ({ directory }) => {
    const path = join(directory, 'state');
    const lines = Array.from({ length: 50 }, (_, i) => `${i}`);
    await Promise.all(lines.map((line) => updatePrivateFile(path, (text = '') => `${text}${line}\n`)));
    expect((await readPrivateFile(path))?.trimEnd().split('\n').sort()).toEqual(lines.sort());
  });

  test('at once from several processes loses no change', async ({ directory }) => {
    const path = join(directory, 'state');
    const module = resolve('src/trust/private-file.ts');
    const script = `
      import { updatePrivateFile } from ${JSON.stringify(`file://${module}`)};
      for (let i = 0; i < 25; i += 1) await updatePrivateFile(process.argv[1], (text = '') => text + 'line\\n');
    `;
    const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, path]);
    await Promise.all([run(), run(), run(), run()]);
    expect((await readPrivateFile(path))?.split('\n')).toHaveLength(101);
    expect(await readdir(directory)).toEqual(['state']);
  });
});

describe('a key file', () => {
  test('of its owner alone is accepted', async ({ directory }) => {
    const path = join(directory, 'key.pem');
    await writePrivateFile(path, 'key');
    await assertPrivate(path);
    await chmod(path, 0o400);
    await assertPrivate(path);
  });

  test.for(['640', '604', '660', '620', '644'])(
    'of mode %s is refused, with the remedy, which is told once',
    async (bits, { directory }) => {
      const path = join(directory, 'key.pem');
      await writeFile(path, 'key');
      await chmod(path, Number.parseInt(bits, 8));
      await expect(assertPrivate(path)).rejects.toMatchObject({
        code: 'bad-configuration',
        message: `The key file ${path} is open to other users (mode 0${bits}).`,
        hint: `Close it with: chmod 600 ${path}`,
      });
    },
  );

  test('that is missing is told', async ({ directory }) => {
    const path = join(directory, 'key.pem');
    await expect(assertPrivate(path)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining(path),
    });
  });
});
