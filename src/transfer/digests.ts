import { createHash, hash } from 'node:crypto';
import { createRequire } from 'node:module';

import { SealiftError } from '../errors.ts';

/** The hash functions of the protocol; both give 32 bytes. */
export const DIGEST_ALGORITHMS = ['sha256', 'blake3'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/** Bytes of a raw digest, of either algorithm. */
export const DIGEST_BYTES = 32;

/** The digest of one block's bytes, raw (32 bytes). */
export function blockDigest(algorithm: DigestAlgorithm, bytes: Buffer): Buffer {
  if (algorithm === 'sha256') return hash('sha256', bytes, 'buffer');
  // As a text, and from it into memory that is there: a buffer of the package's own is freed by a call of it for each.
  return Buffer.from(loadedBlake3().blake3UrlSafeBase64(bytes), 'base64url');
}

/** The file digest in its written form, over the raw block digests in the order of their blocks. */
export function fileDigest(algorithm: DigestAlgorithm, blockDigests: Iterable<Buffer>): string {
  // One block is the usual case, for each of many small files: a hasher costs more than the hash.
  const isOne = Array.isArray(blockDigests) && blockDigests.length === 1;
  const raw = isOne ? blockDigest(algorithm, blockDigests[0] as Buffer) : hashAll(algorithm, blockDigests);
  return `${algorithm}-1m:${raw.toString('hex')}`;
}

/** The file digest of a file of `size` bytes, at most one block, whose raw digest is `block`: an empty file has none. */
export function smallFileDigest(algorithm: DigestAlgorithm, size: number, block: Buffer): string {
  return fileDigest(algorithm, size === 0 ? [] : [block]);
}

/** A block digest in its written form, `sha256:<64 hex>` or `blake3:<64 hex>`. */
export function formatBlockDigest(algorithm: DigestAlgorithm, raw: Buffer): string {
  return `${algorithm}:${raw.toString('hex')}`;
}

/** Reads the written form of a block digest; undefined if it is none. */
export function parseBlockDigest(text: string): { algorithm: DigestAlgorithm; raw: Buffer } | undefined {
  const match = /^(sha256|blake3):([0-9a-f]{64})$/.exec(text);
  if (!match) return undefined;
  return { algorithm: match[1] as DigestAlgorithm, raw: Buffer.from(match[2] as string, 'hex') };
}

/** Whether BLAKE3 can be computed here: its native package loads on this machine. */
export function isBlake3Available(): boolean {
  loadBlake3();
  return blake3Package !== undefined;
}

/** The fastest algorithm that this machine computes. */
export function preferredAlgorithm(): DigestAlgorithm {
  return isBlake3Available() ? 'blake3' : 'sha256';
}

interface Blake3Package {
  blake3UrlSafeBase64(bytes: Buffer): string;
  Blake3Hasher: new () => { update(bytes: Buffer): unknown; digestBuffer(): Buffer };
}

let blake3Package: Blake3Package | undefined;
let blake3Failure: unknown;

// Loaded when first asked for: a program that hashes nothing should not pay for a native library.
function loadBlake3(): void {
  if (blake3Package !== undefined || blake3Failure !== undefined) return;
  // The package asks for a report to learn which C library there is, and a report looks up the names of the peers of all
  // open sockets: for seconds, and with everything at a stop, where the name service is slow.
  const report = process.report as { excludeNetwork?: boolean };
  const { excludeNetwork = false } = report;
  report.excludeNetwork = true;
  try {
    blake3Package = createRequire(import.meta.url)('@napi-rs/blake-hash') as Blake3Package;
  } catch (error) {
    blake3Failure = error;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

function loadedBlake3(): Blake3Package {
  loadBlake3();
  if (blake3Package !== undefined) return blake3Package;
  throw new SealiftError('unsupported', 'BLAKE3 cannot be computed on this machine.', {
    cause: blake3Failure,
  });
}

function hashAll(algorithm: DigestAlgorithm, parts: Iterable<Buffer>): Buffer {
  const hasher = algorithm === 'sha256' ? createHash('sha256') : new (loadedBlake3().Blake3Hasher)();
  for (const part of parts) hasher.update(part);
  return 'digestBuffer' in hasher ? hasher.digestBuffer() : hasher.digest();
}
