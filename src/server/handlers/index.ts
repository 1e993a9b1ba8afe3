import { SealiftError } from '../../errors.ts';
import { writeFields } from '../../protocol/fields.ts';
import type { Action } from '../../protocol/requests.ts';
import { endWorkWith, noteMade, type Handler } from '../exchange.ts';
import { block } from './block.ts';
import { commit } from './commit.ts';
import { digests } from './digests.ts';
import { fileDigests } from './file-digests.ts';
import { get } from './get.ts';
import { list, search } from './listings.ts';
import { put, replaceOptions, tellingWhatStands } from './put.ts';

/** What a server does for each action once the hello is finished. The short ones stand here as they are. */
export const HANDLERS: { readonly [A in Action]: Handler<A> } = {
  hello: () => Promise.reject(new SealiftError('bad-request', 'The hello was said already.')),
  ping: ({ state }) => Promise.resolve({ fields: { 'time-ms': state.clock.now() } }),
  echo: ({ header, content }) =>
    Promise.resolve({
      content,
      contentType: header['content-type'],
      contentEncoding: header['content-encoding'],
    }),
  put,
  block,
  commit,
  abort: async ({ fields, state }) => {
    const upload = state.uploads.find(state.owner, fields.upload);
    await state.uploads.abort(state.owner, fields.upload);
    endWorkWith(state, upload);
    return {};
  },
  get,
  digests,
  'file-digests': fileDigests,
  stat: async (exchange) => {
    const { fields, state } = exchange;
    const entry = await state.store.stat(fields.path);
    const { path: _path, ...attributes } = entry;
    if (fields.digest !== true || entry.type !== 'file') return { fields: writeFields(attributes) };
    const found = await state.fileDigests.of(fields.path, state.algorithm, {
      owner: state.owner,
      signal: exchange.signal,
    });
    return {
      fields: writeFields({
        ...attributes,
        etag: found.entry.etag,
        size: found.entry.size,
        digest: found.digest,
      }),
    };
  },
  list,
  search,
  set: async ({ fields, state }) => {
    const mayDelete = state.grant.permissions.has('delete');
    const made = mayDelete ? undefined : state.made.etagOf(fields.path);
    await state.store.set(fields.path, fields, { made });
    return {};
  },
  mkdir: async (exchange) => {
    const { fields, state } = exchange;
    const make = () =>
      state.quotas.change(state, { type: 'make', path: fields.path }, () =>
        state.store.mkdir(fields.path, fields),
      );
    const made = await tellingWhatStands(exchange, fields.path, () =>
      state.unsynced.publishing(fields.path, make),
    );
    if (made !== undefined) noteMade(state, made);
    return {};
  },
  symlink: async (exchange) => {
    const { fields, state } = exchange;
    const { path, target } = fields;
    const bytes = Buffer.byteLength(target);
    const make = () =>
      state.quotas.change(state, { type: 'put', path, bytes }, () =>
        state.store.symlink(path, target, replaceOptions(fields, state)),
      );
    const made = await tellingWhatStands(exchange, path, () => state.unsynced.publishing(path, make));
    noteMade(state, made);
    return {};
  },
  remove: async ({ fields, state }) => {
    const { path, recursive = false } = fields;
    await state.unsyncedByAll.removing(path, { recursive }, () =>
      state.quotas.change(state, { type: 'remove', path, isRecursive: recursive }, (onSettled) =>
        state.store.remove(path, { recursive, onAside: onSettled }),
      ),
    );
    return {};
  },
  move: async (exchange) => {
    const { fields, state } = exchange;
    const { path, to } = fields;
    await tellingWhatStands(exchange, to, () =>
      state.unsyncedByAll.moving(path, to, () =>
        state.quotas.change(state, { type: 'move', path, to }, () =>
          state.store.move(path, to, replaceOptions(fields, state)),
        ),
      ),
    );
    return {};
  },
  sync: async ({ state }) => {
    await state.unsynced.sync();
    return {};
  },
  lock: ({ fields: { ttlMs, ...lease }, state }) => {
    state.leases.lock({ ...lease, owner: state.owner }, ttlMs);
    return Promise.resolve({});
  },
  unlock: ({ fields, state }) => {
    state.leases.unlock({ ...fields, owner: state.owner });
    return Promise.resolve({});
  },
  cancel: ({ fields, state }) => {
    state.cancel(fields.target);
    return Promise.resolve({});
  },
  bench: async ({ fields, state: { plainSinks, grant } }) => {
    if (fields.plain !== true) return {};
    // Nobody would count there what it is allowed a second.
    if (grant.bytesPerSecond !== undefined)
      throw new SealiftError('forbidden', 'A port without TLS is not for who has a rate.');
    return { fields: await plainSinks.open() };
  },
};
