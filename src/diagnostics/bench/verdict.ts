import { formatSize } from '../../units.ts';

/** What the verdict is drawn from: bytes a second, undefined where it was not measured. */
export interface Rates {
  /** TCP without TLS, on one connection. */
  plain?: number | undefined;
  /** Blocks that the server drops, on one connection, with the cipher suite that the two sides agree on. */
  memory: number;
  /** The same with each cipher suite that could be had. */
  ciphers: readonly number[];
  /** The same on the count of connections that brought most. */
  streams?: number | undefined;
  /** Block digests, on this machine. */
  hash: number;
  /** Blocks that the server checks and writes, on one connection. */
  stored: number;
}

/** What keeps a transfer from being faster. */
export const BOTTLENECKS = ['disk', 'hashing', 'connection', 'tls', 'link'] as const;

export interface Verdict {
  bottleneck: (typeof BOTTLENECKS)[number];
  /** The figures and the rule that it follows from, one sentence. */
  reason: string;
  /** What may help. */
  remedy: string;
}

/** One rate counts as higher than another when it is by this factor: what is less is how measurements vary. */
const MARKEDLY = 1.25;

/** The first of these rules that holds, from the end of the way of a block to its beginning. */
export function verdictOn(rates: Rates): Verdict {
  return (
    storing(rates) ??
    oneConnection(rates) ??
    encryption(rates) ?? {
      bottleneck: 'link',
      reason: `storing, hashing${rates.plain === undefined ? '' : ', TLS'} and more connections change little about ${rate(rates.memory)}`,
      remedy:
        rates.plain === undefined
          ? 'The link, or what the processors of both machines can do; TCP without TLS was not measured, and would tell TLS apart.'
          : 'Nothing on either machine would help: -z may, if the data shrinks.',
    }
  );
}

/** A block that is stored is sent, and hashed on each side: what that leaves is what storing may take. */
function storing({ memory, hash, stored }: Rates): Verdict | undefined {
  if (isMarkedly(memory, stored)) {
    const hashed = 1 / (1 / memory + 1 / hash);
    if (isMarkedly(hashed, stored)) {
      return {
        bottleneck: 'disk',
        reason: `blocks are stored at ${rate(stored)}, and could be at ${rate(hashed)} by what sending (${rate(memory)}) and hashing (${rate(hash)}) take`,
        remedy: 'A faster disk, or file system, on the server.',
      };
    }
    return {
      bottleneck: 'hashing',
      reason: `blocks are stored at ${rate(stored)} and dropped at ${rate(memory)}, and hashing (${rate(hash)}) explains the difference`,
      remedy: 'BLAKE3 where SHA-256 is used, a processor with SHA instructions, or more --streams.',
    };
  }
  return undefined;
}

function oneConnection({ memory, streams }: Rates): Verdict | undefined {
  if (streams === undefined || !isMarkedly(streams, memory)) return undefined;
  return {
    bottleneck: 'connection',
    reason: `one connection carries ${rate(memory)}, and several together ${rate(streams)}`,
    remedy: 'Send with --streams.',
  };
}

function encryption({ plain, memory, ciphers }: Rates): Verdict | undefined {
  if (plain !== undefined && isMarkedly(plain, memory)) {
    return {
      bottleneck: 'tls',
      reason: `TCP alone carries ${rate(plain)}, and with TLS and the protocol ${rate(memory)}`,
      remedy: 'A cipher suite that is faster here (see above), or a faster processor.',
    };
  }
  const [fastest, slowest] = [Math.max(...ciphers), Math.min(...ciphers)];
  if (plain !== undefined || !isMarkedly(fastest, slowest)) return undefined;
  return {
    bottleneck: 'tls',
    reason: `cipher suites differ, from ${rate(slowest)} to ${rate(fastest)}: what encryption takes is felt`,
    remedy: 'A cipher suite that is faster here (see above), or a faster processor.',
  };
}

function isMarkedly(higher: number, lower: number): boolean {
  return higher > MARKEDLY * lower;
}

function rate(bytesPerSecond: number): string {
  return `${formatSize(bytesPerSecond)}/s`;
}
