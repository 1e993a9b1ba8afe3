import { SealiftError } from '../errors.ts';
import type { Action, Request } from '../protocol/requests.ts';
import type { Permission } from '../protocol/responses.ts';
import { isWithin } from '../transfer/remote-path.ts';
import type { Grant } from '../trust/grant.ts';

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
  // Its paths are judged one by one where they are read.
  'file-digests': ['read'],
  stat: ['list'],
  list: ['list'],
  search: ['list'],
  set: ['write', 'delete'],
  mkdir: ['write'],
  symlink: ['write'],
  remove: ['delete'],
  move: ['write', 'delete'],
  sync: ['write'],
  // Whoever may send files may as well send what is only dropped.
  bench: ['write'],
};

/** May name a directory on the way to what is granted: it is seen as far as it leads there, and made where it is missing, as `put` makes it. */
const ON_THE_WAY: ReadonlySet<Action> = new Set(['stat', 'list', 'mkdir']);

/** What a request is judged by besides its fields and the grant. */
export interface Circumstances {
  /** What was made on this connection, by path; whether it is what stands there still is for the store to judge. */
  made?: { has(path: string): boolean } | undefined;
  /** Where the upload goes that the request names. */
  uploadPath?: string | undefined;
}

/**
 * Throws `forbidden` unless `grant` allows the request. Pure: the answer depends on nothing else than what is given.
 * That anything is replaced is judged where it is known, by `ReplaceOptions.mayReplace`.
 */
export function authorize(
  request: Request,
  { permissions, prefixes }: Pick<Grant, 'permissions' | 'prefixes'>,
  circumstances: Circumstances = {},
): void {
  const needs = needsOf(request, permissions, circumstances);
  const missing = needs.find((permission) => !permissions.has(permission));
  if (missing !== undefined) {
    throw new SealiftError(
      'forbidden',
      `This needs the permission "${missing}", which you do not have here.`,
    );
  }
  const outside = pathsOf(request, circumstances).find((path) => !mayName(request.action, path, prefixes));
  if (outside !== undefined)
    throw new SealiftError('forbidden', `${JSON.stringify(outside)} is outside of what you may reach here.`);
}

/** Whether `path` is on the way to one of `prefixes`, and not there yet. */
export function leadsTo(path: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => prefix !== path && isWithin(prefix, path));
}

/** Whether `path` is one of `prefixes` or below it. */
export function isGranted(path: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => isWithin(path, prefix));
}

function needsOf(
  { action, fields }: Request,
  permissions: ReadonlySet<Permission>,
  { made }: Circumstances,
): readonly Permission[] {
  // Whoever may read a file learns more than that.
  if (action === 'stat' && (fields.digest === true || permissions.has('read'))) return ['read'];
  if (action === 'set' && made?.has(fields.path) === true)
    return NEEDS.set.filter((permission) => permission !== 'delete');
  if (action === 'put' && fields.base === 'existing') return [...NEEDS.put, 'read'];
  return NEEDS[action];
}

function pathsOf({ fields }: Request, { uploadPath }: Circumstances): string[] {
  const { path, to } = fields as { path?: string; to?: string };
  return [path, to, uploadPath].filter((each) => each !== undefined);
}

function mayName(action: Action, path: string, prefixes: readonly string[]): boolean {
  return isGranted(path, prefixes) || (ON_THE_WAY.has(action) && leadsTo(path, prefixes));
}
