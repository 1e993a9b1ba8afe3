import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Connector } from '../../../src/client/connector.ts';
import { createServer } from '../../../src/server/create-server.ts';
import { AT_ONCE } from '../../client/setting.ts';
import { ERRANDS, type Errand } from '../errands.ts';
import { headerOf, startMessageProxy, type Frame } from '../message-proxy.ts';
import { plantTree } from '../planted-tree.ts';
import type { Parcel } from './mutations.ts';

/** Stands where the id of an upload is to stand that lives; as long as one. */
export const ANY_UPLOAD = 'u'.repeat(22);
/** The directory of all paths in the corpus. */
export const TOP = 'mine';
/** Errands with other messages than those before them, and not too many. */
const RECORDED = ERRANDS.filter(({ name }) => !/many|over|where none|whose|stream/.test(name));

/** Sessions of sound messages to a server: recorded ones, and those of the test vectors. The tokens in them are wrong. */
export async function recordedSessions(): Promise<Parcel[][]> {
  const directory = await mkdtemp(join(tmpdir(), 'sealift-fuzz-corpus-'));
  const root = join(directory, 'root');
  const server = await createServer({ root, host: '127.0.0.1', port: 0, anonymous: 'write' });
  const proxy = await startMessageProxy(server.address);
  const sessions = [vectorSession()];
  try {
    for (const errand of RECORDED) {
      const frames: Frame[] = [];
      proxy.onFrame = (frame) => {
        if (frame.way === 'up') frames.push(frame);
        return { forward: frame.bytes };
      };
      const [connector, direct] = [proxy, server].map(
        ({ address, pin }) => new Connector({ address, pins: [pin], digest: 'sha256' }),
      ) as [Connector, Connector];
      await runAt(join(directory, 'here'), { errand, root, connector, direct });
      sessions.push(frames.map(parcelOf));
    }
  } finally {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  }
  return sessions;
}

async function runAt(
  here: string,
  { errand, root, ...connectors }: { errand: Errand; root: string; connector: Connector; direct: Connector },
): Promise<void> {
  const [local, state] = [join(here, 'local'), join(here, 'state')];
  await plantTree(join(root, TOP), errand.before.remote);
  await plantTree(local, errand.before.local);
  await mkdir(state);
  const place = { ...connectors, top: TOP, local, state, transfer: { retry: AT_ONCE } };
  await errand.prepare?.(place);
  // Nobody may lock who is nobody; the messages are what counts.
  await errand.run(place).catch(() => undefined);
  for (const connector of Object.values(connectors)) await connector[Symbol.asyncDispose]();
  await rm(join(root, TOP), { recursive: true });
  await rm(here, { recursive: true });
}

function parcelOf(frame: Frame): Parcel {
  const { 'content-length': _, ...header } = headerOf(frame);
  return {
    header: {
      ...header,
      ...('upload' in header ? { upload: ANY_UPLOAD } : {}),
      ...(header['action'] === 'hello' ? { token: 'wrong' } : {}),
    },
    content: frame.bytes.subarray(frame.contentStart),
  };
}

function vectorSession(): Parcel[] {
  const path = join(import.meta.dirname, '../../vectors/messages.json');
  const vectors = JSON.parse(readFileSync(path, 'utf8')) as { bytes: string }[];
  return vectors.map(({ bytes: hex }) => {
    const bytes = Buffer.from(hex, 'hex');
    return parcelOf({ way: 'up', bytes, contentStart: 2 + bytes.readUInt16BE(0) });
  });
}
