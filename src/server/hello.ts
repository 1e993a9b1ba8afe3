import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Header } from '../protocol/header.ts';
import { BLOCK_BYTES, MAX_REQUESTS, PROTOCOL_VERSION } from '../protocol/limits.ts';
import { CONTENT_ENCODINGS } from '../protocol/requests.ts';
import type { StoreFeatures } from '../storage/store.ts';
import { isBlake3Available, type DigestAlgorithm } from '../transfer/digests.ts';
import type { Identity } from './authentication.ts';
import type { Joined } from './joining.ts';

/** The digest of a connection: what the hello asks for, if it can be computed here. */
export function chooseDigest(wanted: DigestAlgorithm | undefined): DigestAlgorithm {
  return wanted === 'blake3' && isBlake3Available() ? 'blake3' : 'sha256';
}

/**
 * Why a hello of another version is refused; undefined for any other. Known before its other fields are read, which
 * may hold there what they never held here.
 */
export function versionRefusal({ protocol }: Header): SealiftError | undefined {
  if (!isVersion(protocol) || protocol === PROTOCOL_VERSION) return undefined;
  return new SealiftError(
    'unsupported-version',
    `Version ${protocol} of the protocol is not spoken here, but ${PROTOCOL_VERSION} is.`,
    {
      details: { supported: [PROTOCOL_VERSION] },
    },
  );
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The fields of the answer to a hello. */
export function helloAnswer(options: {
  agent: string;
  identity: Identity;
  /** What a join code was exchanged for: told this once. */
  joined: Joined | undefined;
  digest: DigestAlgorithm;
  clock: Clock;
  features: StoreFeatures;
  idleTimeoutMs: number;
}): Record<string, unknown> {
  const { agent, identity, joined, digest, clock, features, idleTimeoutMs } = options;
  return {
    protocol: PROTOCOL_VERSION,
    agent,
    principal: identity.principal,
    permissions: [...identity.grant.permissions],
    digest,
    encodings: CONTENT_ENCODINGS,
    'time-ms': clock.now(),
    'block-size': BLOCK_BYTES,
    'max-requests': MAX_REQUESTS,
    'idle-timeout-ms': idleTimeoutMs,
    'time-grain-ms': features.timeGrainMs,
    features: [...storeFeatureNames(features), 'lock', 'bench', 'file-digests'],
    ...joined,
  };
}

function storeFeatureNames(features: StoreFeatures): string[] {
  const { symlinks, distinguishesCase, distinguishesForms, versions } = features;
  return [
    ...(symlinks ? ['symlink'] : []),
    ...(distinguishesCase ? [] : ['case-insensitive']),
    ...(distinguishesForms ? [] : ['normalization-insensitive']),
    ...(versions ? ['versions'] : []),
  ];
}
