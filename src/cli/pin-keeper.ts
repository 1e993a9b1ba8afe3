import { formatAddress, parseAddress, type Address } from '../transport/address.ts';
import type { ServerText } from './places.ts';
import { serversOf, type SavedServer } from './remotes.ts';
import type { RunContext } from './run-context.ts';

/** Keeps the pins of a server wherever there are some: among the known servers, and with saved remotes. */
export interface PinKeeper {
  /** All that is trusted. */
  readonly pins: readonly string[];
  /** Whether they are those of a saved remote, which go before what is said of all servers. */
  readonly isOfRemote: boolean;
  /** Whether the server is trusted with `pin` wherever it is kept. */
  isKept(pin: string): boolean;
  /** What is trusted where `pin` is not. */
  pinsBeside(pin: string): readonly string[];
  /** Trusts `pin` from now on, too, or with `replace` nothing else. */
  keep(pin: string, replace: boolean): Promise<void>;
}

/**
 * The keeper of the pins of a server: of a saved remote its own, those of the first of its servers. What is called by its
 * address is kept among the known servers, and with each remote that has it.
 */
export async function pinKeeper(
  context: RunContext,
  server: ServerText,
  address: Address,
): Promise<PinKeeper> {
  const remotes = await context.remotes();
  const name = 'name' in server ? server.name : undefined;
  const named = name === undefined ? undefined : await remotes.find(name);
  const place = formatAddress(address);
  const isMeant =
    named?.pins === undefined
      ? (saved: SavedServer) => isAt(saved, place)
      : (_: SavedServer, of: string, isFirst: boolean) => of === name && isFirst;
  const kept = await remotes.pinsOf(isMeant);
  const known = named?.pins === undefined ? await context.knownServers() : undefined;
  const all = () => [...(known === undefined ? [] : [known.pinsFor(address)]), ...kept];
  return {
    pins: [...new Set(all().flat())],
    isOfRemote: named?.pins !== undefined,
    isKept: (pin) => all().every((pins) => pins.includes(pin)),
    pinsBeside: (pin) => [...new Set(all().flatMap((pins) => (pins.includes(pin) ? [] : pins)))],
    keep: async (pin, replace) => {
      await known?.trust(address, pin, { replace });
      const added = (pins: readonly string[]) => (replace ? [pin] : [...new Set([...pins, pin])]);
      if (kept.length > 0) await remotes.changePins(isMeant, added);
    },
  };
}

/** The names of the saved remotes with pins of their own for a server. */
export async function remotesTrusting(context: RunContext, address: Address): Promise<string[]> {
  const place = formatAddress(address);
  const remotes = [...(await (await context.remotes()).all())];
  const isTrusted = (server: SavedServer) => (server.pins ?? []).length > 0 && isAt(server, place);
  return remotes.flatMap(([name, remote]) => (serversOf(remote).some(isTrusted) ? [name] : []));
}

function isAt({ address }: SavedServer, place: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && formatAddress(parsed) === place;
}
