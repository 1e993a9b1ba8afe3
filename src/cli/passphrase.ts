import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

import { throwIfAborted } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { assertPrivate } from '../trust/private-file.ts';
import { readText, type RunContext } from './run-context.ts';

/**
 * The passphrase of a key: from the file that `--passphrase-file` names, else from `SEALIFT_PASSPHRASE`; undefined if
 * neither says one. Throws `bad-configuration` for a file that others can read, and for an empty passphrase.
 */
export async function givenPassphrase({ settings }: RunContext): Promise<string | undefined> {
  const { passphraseFile: file } = settings;
  if (typeof file === 'string') return passphraseIn(file);
  const variable = process.env['SEALIFT_PASSPHRASE'];
  return variable === undefined ? undefined : assertNotEmpty(variable, 'SEALIFT_PASSPHRASE');
}

/** The passphrase in the first line of a file. Throws `bad-configuration` for one that others can read, and for an empty passphrase. */
export async function passphraseIn(file: string): Promise<string> {
  await assertPrivate(file, 'passphrase file');
  const [line = ''] = (await readText(file)).split(/\r?\n/, 1);
  return assertNotEmpty(line, `The first line of ${file}`);
}

/** Asks for passphrases on the terminal, which does not show them. Throws `usage` where there is none, or nothing is answered. */
export async function askPassphrases(
  { signal }: RunContext,
  questions: readonly string[],
): Promise<string[]> {
  if (!process.stdin.isTTY) {
    throw new SealiftError('usage', 'There is no terminal to ask for a passphrase on.', {
      hint: 'Give it with --passphrase-file or in SEALIFT_PASSPHRASE.',
    });
  }
  // What readline would write is what was typed.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true, signal });
  // While it does not show what is typed, the terminal does not turn Ctrl-C into a signal either.
  prompt.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const lines = prompt[Symbol.asyncIterator]();
  const answers: string[] = [];
  try {
    for (const question of questions) {
      // Only now: what is typed before would be shown.
      process.stderr.write(question);
      const answer = (await lines.next()) as IteratorResult<string, undefined>;
      process.stderr.write('\n');
      throwIfAborted(signal);
      if (answer.done === true || answer.value === '')
        throw new SealiftError('usage', 'No passphrase was given.');
      answers.push(answer.value);
    }
  } finally {
    prompt.close();
  }
  return answers;
}

function assertNotEmpty(passphrase: string, place: string): string {
  if (passphrase !== '') return passphrase;
  throw new SealiftError('bad-configuration', `${place} is empty: there is no passphrase.`);
}
