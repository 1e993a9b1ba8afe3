import { X509Certificate } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { ConnectOptions } from '../../client/connect.ts';
import { systemClock } from '../../clock.ts';
import { isSealiftError } from '../../errors.ts';
import { systemRandom } from '../../random.ts';
import { Server } from '../../server/server.ts';
import { MemoryStore } from '../../storage/memory-store.ts';
import { isBlake3Available } from '../../transfer/digests.ts';
import { localFileError } from '../../trust/local-file-error.ts';
import { parsePrincipals } from '../../trust/principals.ts';
import { certificatePin } from '../../trust/pins.ts';
import { selfSignedCertificate } from '../../trust/self-signed-certificate.ts';
import { hashToken } from '../../trust/tokens.ts';
import type { Measurement, Unmeasured } from './measurement.ts';
import { cipherStep } from './remote.ts';
import type { Figures, Work } from './repeat.ts';
import { measured, type Step } from './steps.ts';
import { CIPHER_SUITES, hashedBlocks, incompressibleBlock } from './works.ts';

/** What to measure of this machine, and how far to go. */
export interface LocalBenchOptions {
  /** The directory in which a file is written, which is removed again. */
  directory: string;
  /** All measurements together, in milliseconds. */
  durationMs: number;
  /** All measurements together, of content that is sent or written. */
  maxBytes: number;
  signal: AbortSignal;
}

/** Memory that is copied to in turn: more than caches hold. */
const COPY_BYTES = 64 * 2 ** 20;
const HOUR_MS = 3_600_000;

/** Measures what this machine can do by itself: memory, hashing, TLS with both ends in this process, and the disk. */
export async function* benchLocal(options: LocalBenchOptions): AsyncGenerator<Measurement | Unmeasured> {
  const { directory, durationMs, maxBytes, signal } = options;
  const server = await loopbackServer();
  try {
    const block = incompressibleBlock();
    const steps: Step[] = [
      { kind: 'copy', name: '', measure: (run) => run(copiedBlocks(block)) },
      ...(['sha256', 'blake3'] as const)
        .filter((algorithm) => algorithm === 'sha256' || isBlake3Available())
        .map((algorithm): Step => ({
          kind: 'hash',
          name: algorithm,
          measure: (run) => run(hashedBlocks(algorithm, block)),
        })),
      ...CIPHER_SUITES.map((suite) => cipherStep(server.connect, suite, block, signal)),
      { kind: 'disk', name: directory, measure: (run) => writtenBlocks(directory, block, run) },
    ];
    yield* measured(steps, { durationMs, maxBytes, clock: systemClock, signal });
  } finally {
    await server.close();
  }
}

/** The server of this project, without a disk, which this process alone knows the key of. */
async function loopbackServer(): Promise<{ connect: ConnectOptions; close: () => Promise<void> }> {
  const nowMs = systemClock.now();
  const tls = await selfSignedCertificate(
    {
      names: [{ type: 'dns', value: 'localhost' }],
      validity: { notBefore: new Date(nowMs - HOUR_MS), notAfter: new Date(nowMs + HOUR_MS) },
    },
    systemRandom,
  );
  const token = systemRandom.bytes(32).toString('base64url');
  const principals = parsePrincipals(usersText(token), 'the users of a measurement');
  const server = await Server.start({
    store: new MemoryStore(),
    address: { host: '127.0.0.1', port: 0 },
    tls,
    clientTrust: () => ({ principals }),
  });
  return {
    connect: { address: server.address, pins: [certificatePin(new X509Certificate(tls.cert))], token },
    close: async () => server[Symbol.asyncDispose](),
  };
}

function usersText(token: string): string {
  return `[principals.bench]\npermissions = ["write"]\ntokens = [${JSON.stringify(hashToken(token))}]\n`;
}

function copiedBlocks(block: Buffer): Work {
  const target = Buffer.alloc(COPY_BYTES);
  const once = async (index: number) => block.copy(target, (index * block.length) % COPY_BYTES);
  return { bytes: block.length, concurrency: 1, once };
}

/** Each block is synced: what a disk takes in, and not what the system keeps for it. */
async function writtenBlocks(
  directory: string,
  block: Buffer,
  run: (work: Work) => Promise<Figures>,
): Promise<Figures> {
  const path = join(directory, `.sealift-bench-${systemRandom.bytes(8).toString('hex')}`);
  try {
    const file = await open(path, 'wx', 0o600);
    const once = async (index: number) => {
      await file.write(block, 0, block.length, index * block.length);
      await file.datasync();
    };
    return await run({ bytes: block.length, concurrency: 1, once }).finally(() => file.close());
  } catch (cause) {
    if (isSealiftError(cause)) throw cause;
    throw localFileError('write', path, cause);
  } finally {
    await rm(path, { force: true });
  }
}
