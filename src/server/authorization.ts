import { SealiftError } from '../errors.ts';
import type { Action, Request } from '../protocol/requests.ts';
import type { Permission } from '../protocol/responses.ts';

/**
 * What each action needs. To move a file away is to remove it from its name, so `move` needs `delete` as well:
 * whoever may only `write` can add, and can neither change nor hide what stands. For the same reason `set` needs it
 * too, but for what was made on the same connection: whoever adds a directory may give it its time.
 */
const NEEDS: Readonly<Record<Action, readonly Permission[]>> = {
  hello: [],
  ping: [],
  echo: [],
  cancel: [],
  // Those who only read want to be alone, too. Who is anonymous is refused by the leases themselves.
  lock: [],
  unlock: [],
  put: ['write'],
  block: ['write'],
  commit: ['write'],
  abort: ['write'],
  get: ['read'],
  digests: ['read'],
  stat: ['list'],
  list: ['list'],
  search: ['list'],
  set: ['write', 'delete'],
  mkdir: ['write'],
  symlink: ['write'],
  remove: ['delete'],
  move: ['write', 'delete'],
  sync: ['write'],
};

/**
 * Throws `forbidden` unless `permissions` allow the request; `made` are the paths that were made on this
 * connection. Pure: the answer depends on nothing else.
 */
export function authorize(
  { action, fields }: Request,
  permissions: ReadonlySet<Permission>,
  made: ReadonlySet<string> = new Set(),
): void {
  const needed = new Set(NEEDS[action]);
  if (action === 'stat' && permissions.has('read')) needed.delete('list');
  if (action === 'stat' && fields.digest === true) needed.add('read');
  if (action === 'set' && made.has(fields.path)) needed.delete('delete');
  if (action === 'put' && fields.base === 'existing') needed.add('read');
  for (const permission of needed) {
    if (!permissions.has(permission)) {
      throw new SealiftError(
        'forbidden',
        `This needs the permission "${permission}", which you do not have here.`,
      );
    }
  }
}
