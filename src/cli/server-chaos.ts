import type { Option } from 'commander';

import { systemClock } from '../clock.ts';
import type { Misbehaviour } from '../diagnostics/misbehaving-store.ts';
import { SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { systemRandom } from '../random.ts';
import type { CreateServerOptions } from '../server/create-server.ts';
import { repeatableSetting, type Settings } from './settings.ts';

const NAMES: readonly Misbehaviour[] = ['no-space', 'slow-disk', 'busy'];

/** `--chaos`, of `serve`. */
export function chaosSetting(): Option {
  return repeatableSetting(
    '--chaos <how>',
    'misbehave on purpose, to test clients: no-space, slow-disk, busy (repeatable, or with commas)',
    parseMisbehaviours,
  );
}

/** What makes the store of a server misbehave as `--chaos` says, which the log then tells; undefined if it is to behave. */
export async function chaosDecorator(
  { chaos }: Settings,
  logger: Logger,
): Promise<CreateServerOptions['decorateStore']> {
  if (chaos === undefined) return undefined;
  const kinds = new Set((chaos as string[]).flatMap((text) => text.split(',') as Misbehaviour[]));
  logger.warn({ chaos: [...kinds] }, 'MISBEHAVES ON PURPOSE (--chaos): not for files that anybody needs');
  const { misbehaving } = await import('../diagnostics/misbehaving-store.ts');
  return (store) => misbehaving(store, kinds, { clock: systemClock, random: systemRandom });
}

function parseMisbehaviours(text: string): string {
  const unknown = text.split(',').find((name) => !NAMES.includes(name as Misbehaviour));
  if (unknown === undefined) return text;
  throw new SealiftError('usage', `${JSON.stringify(unknown)} is none of ${NAMES.join(', ')}.`);
}
