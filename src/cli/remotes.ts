import { join } from 'node:path';

import { stringify } from 'smol-toml';

import { SealiftError } from '../errors.ts';
import { isPin } from '../trust/pins.ts';
import { assertPrivate, readPrivateFile, updatePrivateFile } from '../trust/private-file.ts';
import { parseToml } from '../trust/toml.ts';
import { parseAddress } from '../transport/address.ts';
import { isTable } from './configuration.ts';

/** A server of a saved remote: where it is, and how to be believed by it and to believe it. */
export interface SavedServer {
  /** `host:port`, `[::1]:port` or `unix:/path`. */
  address: string;
  pins?: string[];
  token?: string;
  /** Paths of PEM files. */
  ca?: string;
  cert?: string;
  key?: string;
}

/** A saved remote: a server, and others that do as well. */
export interface SavedRemote extends SavedServer {
  also?: SavedServer[];
}

/** Which servers of saved remotes are meant: by themselves, the name of the remote, and whether they are its first. */
export type IsMeant = (server: SavedServer, name: string, isFirst: boolean) => boolean;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The saved remotes of a user: a private TOML file, since tokens stand in it. */
export class Remotes {
  readonly #file: string;

  constructor(configDirectory: string) {
    this.#file = join(configDirectory, 'remotes.toml');
  }

  /** Throws `bad-configuration` where the file is faulty, or where tokens stand in it and others can read it. */
  async all(): Promise<ReadonlyMap<string, SavedRemote>> {
    const remotes = this.#parse(await readPrivateFile(this.#file));
    const servers = [...remotes.values()].flatMap(serversOf);
    if (servers.some(({ token }) => token !== undefined))
      await assertPrivate(this.#file, 'file of saved remotes');
    return remotes;
  }

  async find(name: string): Promise<SavedRemote | undefined> {
    return (await this.all()).get(name);
  }

  /** Throws unless a remote of that name can be saved: to be asked before a join code is used up for it. */
  async assertSavable(name: string): Promise<void> {
    assertName(name);
    // Writing would close a file that others have been able to read, and nobody would know.
    await this.all();
    await updatePrivateFile(this.#file, (text) => format(this.#parse(text)), { isTrial: true });
  }

  /** Saves a remote, in the place of one of the same name. */
  async save(name: string, remote: SavedRemote): Promise<void> {
    assertName(name);
    await updatePrivateFile(this.#file, (text) => format(new Map([...this.#parse(text), [name, remote]])));
  }

  /** The pins of each server that is meant and has pins of its own. */
  async pinsOf(isMeant: IsMeant): Promise<readonly (readonly string[])[]> {
    return pinnedServers(await this.all(), isMeant).map(({ pins }) => pins);
  }

  /** Changes the pins of each server that is meant and has pins of its own. */
  async changePins(isMeant: IsMeant, change: (pins: readonly string[]) => string[]): Promise<void> {
    await updatePrivateFile(this.#file, (text) => {
      const remotes = this.#parse(text);
      for (const server of pinnedServers(remotes, isMeant)) server.pins = change(server.pins);
      return text === undefined ? undefined : format(remotes);
    });
  }

  /** Forgets a remote; false if there is none of that name. */
  async remove(name: string): Promise<boolean> {
    let found = false;
    await updatePrivateFile(this.#file, (text) => {
      const remotes = new Map(this.#parse(text));
      found = remotes.delete(name);
      return text === undefined && !found ? undefined : format(remotes);
    });
    return found;
  }

  #parse(text: string | undefined): ReadonlyMap<string, SavedRemote> {
    const { remote = {}, ...others } = parseToml(text ?? '', this.#file);
    const [unknown] = Object.keys(others);
    // It would be gone after the next change.
    if (unknown !== undefined)
      throw new SealiftError(
        'bad-configuration',
        `${this.#file}: ${JSON.stringify(unknown)} is not a known key.`,
        {
          hint: 'A remote is a table [remote.NAME].',
        },
      );
    const remotes = new Map<string, SavedRemote>();
    for (const [name, table] of Object.entries(tableAt(`${this.#file}: remote`, remote)))
      remotes.set(name, readRemote(table, `${this.#file}: remote.${name}`));
    return remotes;
  }
}

function assertName(name: string): void {
  if (NAME.test(name)) return;
  throw new SealiftError(
    'usage',
    `${JSON.stringify(name)} is no name for a remote: 1 to 64 of A-Z a-z 0-9 . _ -.`,
  );
}

function readRemote(table: unknown, where: string): SavedRemote {
  const { also, ...own } = tableAt(where, table);
  const server = readServer(own, where);
  if (also === undefined) return server;
  if (!Array.isArray(also))
    throw new SealiftError('bad-configuration', `${where}.also is no list of tables.`);
  return { ...server, also: also.map((other, index) => readServer(other, `${where}.also.${index}`)) };
}

// Strictly: a pin that is overlooked would be a server that is believed for another reason.
function readServer(table: unknown, where: string): SavedServer {
  const server: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(tableAt(where, table))) {
    const isRight = Object.hasOwn(SHAPE, key) && SHAPE[key as keyof SavedServer](value);
    if (!isRight) throw new SealiftError('bad-configuration', `${where}.${key} is not understood.`);
    server[key] = value;
  }
  if (server['address'] === undefined)
    throw new SealiftError('bad-configuration', `${where}.address is missing.`);
  return server as unknown as SavedServer;
}

function tableAt(where: string, value: unknown): Readonly<Record<string, unknown>> {
  if (isTable(value)) return value;
  throw new SealiftError('bad-configuration', `${where} is no table.`);
}

const isText = (value: unknown): boolean => typeof value === 'string';
const SHAPE: Record<keyof SavedServer, (value: unknown) => boolean> = {
  address: (value) => typeof value === 'string' && parseAddress(value) !== undefined,
  pins: (value) => Array.isArray(value) && value.every((pin) => typeof pin === 'string' && isPin(pin)),
  token: isText,
  ca: isText,
  cert: isText,
  key: isText,
};

function pinnedServers(
  remotes: ReadonlyMap<string, SavedRemote>,
  isMeant: IsMeant,
): (SavedServer & { pins: string[] })[] {
  const servers = [...remotes].flatMap(([name, remote]) =>
    serversOf(remote).filter((server, index) => isMeant(server, name, index === 0)),
  );
  return servers.filter((server) => server.pins !== undefined) as (SavedServer & { pins: string[] })[];
}

/** All servers of a remote, the first one first. */
export function serversOf(remote: SavedRemote): SavedServer[] {
  return [remote, ...(remote.also ?? [])];
}

function format(remotes: ReadonlyMap<string, SavedRemote>): string {
  return `${stringify({ remote: Object.fromEntries(remotes) })}\n`;
}
