import { afterAll, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, SEALIFT } from '../support/cli.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
afterAll(() => home.close());

test.each(['bash', 'zsh'])('for %s knows every command and its options', async (shell) => {
  const { code, stdout } = await here.run(['completion', shell]);
  expect(code).toBe(0);
  for (const word of ['serve', 'put', 'trust', '--if-exists', '--bwlimit', 'remote add'])
    expect(stdout).toContain(word);
});

test.each([
  [['pi'], ['ping']],
  [['ping', '--timeo'], ['--timeout']],
  [['cert', 'iss'], ['issue']],
  [['cert', 'issue', '--da'], ['--days']],
  [['cert', 'issue', 'server', '--passphrase-'], ['--passphrase-file']],
  [['remote', 'add', '--'], expect.arrayContaining(['--token-file', '--help'])],
  [['put', 'fi'], ['file']],
  [['cert', 'show', 'fi'], ['file']],
])('bash understands the script, and completes %j', async (words, expected) => {
  home.write('work/file', '');
  const { stdout: script } = await here.run(['completion', 'bash']);
  const probe = `${script}\nCOMP_WORDS=(sealift ${words.join(' ')}); COMP_CWORD=${words.length}; _sealift; echo "\${COMPREPLY[@]}"`;
  const bash = await home.startCommand(['bash', '-c', probe]).ended;
  expect(bash).toMatchObject({ code: 0, stderr: '' });
  expect(bash.stdout.trim().split(' ')).toEqual(expected);
});

test.each<[string, string[], string[]]>([
  ['sealift get fi', ['get', 'fi'], ['files:', 'file']],
  ['sealift ls fi', ['ls', 'fi'], ['files:']],
  ['sealift remote rm fi', ['remote', 'rm', 'fi'], ['files']],
  ['sealift ping fi', ['ping', 'fi'], ['files']],
  ['sealift get files:', ['get', 'files', ':'], []],
  ['sealift get files:fi', ['get', 'files', ':', 'fi'], []],
  ['sealift get files: fi', ['get', 'files', ':', 'fi'], ['files:', 'file']],
  ['sealift get --if-exists s', ['get', '--if-exists', 's'], ['skip']],
  ['sealift get --if-exists=s', ['get', '--if-exists', '=', 's'], ['skip']],
  ['sealift get --delta=', ['get', '--delta', '='], ['auto', 'on', 'off']],
  ['sealift get --bwlimit fi', ['get', '--bwlimit', 'fi'], []],
  ['sealift get --config fi', ['get', '--config', 'fi'], ['file']],
  ['sealift cert issue ', ['cert', 'issue', ''], ['server', 'client']],
  ['sealift cert issue server fi', ['cert', 'issue', 'server', 'fi'], []],
  ['sealift completion z', ['completion', 'z'], ['zsh']],
])('bash offers what can follow: %j', async (line, words, expected) => {
  home.write('work/file', '');
  home.write('config/sealift/remotes.toml', '[remote.files]\naddress = "127.0.0.1:1"\n');
  const { stdout: script } = await here.run(['completion', 'bash']);
  const given = [line, ...words].map((word) => `'${word}'`);
  const probe = `sealift() { "${SEALIFT[0]}" "${SEALIFT[1]}" "$@"; }\n${script}
    COMP_LINE=${given[0]}; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=(sealift ${given.slice(1).join(' ')})
    COMP_CWORD=${words.length}; _sealift; printf '%s\n' "\${COMPREPLY[@]}"`;
  const bash = await home.startCommand(['bash', '-c', probe]).ended;
  expect(bash).toMatchObject({ code: 0, stderr: '' });
  expect(bash.stdout.split('\n').filter((word) => word !== '')).toEqual(expected);
});

test('names stay whole, whatever is in them', async () => {
  const names = ['of two words', 'of*words'];
  for (const name of names) home.write(`work/${name}`, '');
  const { stdout: script } = await here.run(['completion', 'bash']);
  const probe = `${script}\nCOMP_WORDS=(sealift put of); COMP_CWORD=2; _sealift; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const bash = await home.startCommand(['bash', '-c', probe]).ended;
  expect(bash).toMatchObject({ code: 0, stderr: '' });
  expect(bash.stdout.trim().split('\n').sort()).toEqual(names);
});
