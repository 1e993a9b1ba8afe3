import { SealiftError } from '../errors.ts';
import { isPin } from '../trust/pins.ts';
import { formatDuration, formatSize, parseCount, parseDuration, parseSize } from '../units.ts';

/** What was seen of a server or a transfer. What is missing was not observed, and no condition on it holds. */
export interface ObservedFacts {
  /** As in `TLSv1.3` or `1.3`. */
  tls?: string | undefined;
  /** The cipher suite by its standard name, as in `TLS_AES_256_GCM_SHA384`. */
  cipher?: string | undefined;
  /** As in `X25519MLKEM768`. */
  group?: string | undefined;
  alpn?: string | undefined;
  /** Whole days until the certificate expires; negative when it has. */
  certDays?: number | undefined;
  /** Of the server's key: `sha256//BASE64`. */
  pin?: string | undefined;
  /** TLS alone, after TCP, in milliseconds. */
  handshakeMs?: number | undefined;
  /** In milliseconds. */
  rttMs?: number | undefined;
  bytesPerSecond?: number | undefined;
}

type Fact = keyof ObservedFacts;
type Operator = '=' | '>=' | '<=';

/** A condition that has to hold, as `--require` takes it. */
export interface Requirement {
  /** As it was written. */
  readonly text: string;
  readonly fact: Fact;
  readonly operator: Operator;
  readonly wanted: string | number;
}

/** A condition that does not hold. */
export interface Failure {
  /** The condition as it was written. */
  require: string;
  /** What is the case instead, for people; null if it was not observed. */
  observed: string | null;
}

/**
 * Understands `tls>=1.3`, `cipher=NAME`, `group=X25519MLKEM768`, `alpn=NAME`, `cert-days>=14`, `pin=sha256//BASE64`,
 * `handshake<=50ms`, `rtt<=20ms` and `rate>=100M`. Names are compared without regard to case, pins and protocols as
 * they are; what has an order takes `=`, `>=` and `<=`. Throws `usage`.
 */
export function parseRequirement(text: string): Requirement {
  const [, name = '', operator = '', value = ''] = /^([a-z-]+)\s*(>=|<=|=)\s*(\S+)$/.exec(text.trim()) ?? [];
  const condition = CONDITIONS.get(name);
  if (condition === undefined) {
    throw new SealiftError(
      'usage',
      `${JSON.stringify(text)} is no condition on any of ${[...CONDITIONS.keys()].join(', ')}: write tls>=1.3, alpn=NAME or the like.`,
    );
  }
  const { fact, kind } = condition;
  if (kind.compare === undefined && operator !== '=')
    throw new SealiftError('usage', `${name} has no order: write ${name}=${value}.`);
  return { text: text.trim(), fact, operator: operator as Operator, wanted: kind.parse(value) };
}

/** Those of `requirements` that do not hold for `facts`, in their order. */
export function failedRequirements(requirements: readonly Requirement[], facts: ObservedFacts): Failure[] {
  return requirements
    .filter((requirement) => !holds(requirement, facts[requirement.fact]))
    .map(({ text, fact }) => ({ require: text, observed: observedText(fact, facts[fact]) }));
}

/** Throws `condition-failed` unless all of `requirements` hold for `facts`. `place` is where, for people. */
export function assertRequirements(
  requirements: readonly Requirement[],
  facts: ObservedFacts,
  place: string,
): void {
  const failures = failedRequirements(requirements, facts);
  if (failures.length === 0) return;
  const reasons = failures.map(({ require, observed }) => `${require} (${observed ?? 'not observed'})`);
  throw new SealiftError('condition-failed', `${place} is not as required: ${reasons.join(', ')}.`, {
    details: { failed: failures.map(({ require }) => require) },
  });
}

/** How the values of a fact are read, compared and shown. Without `compare` they are equal or not. */
interface Kind {
  parse: (value: string) => string | number;
  compare?: (observed: string | number, wanted: string | number) => number;
  isEqual?: (observed: string | number, wanted: string | number) => boolean;
  show: (observed: string | number) => string;
}

const byNumber = (observed: string | number, wanted: string | number) => Number(observed) - Number(wanted);
const NAME: Kind = {
  parse: String,
  isEqual: (observed, wanted) => String(observed).toLowerCase() === String(wanted).toLowerCase(),
  show: String,
};
const DURATION: Kind = {
  // A round trip may well be a fraction of a millisecond.
  parse: (text) => (/^\d+(\.\d+)?ms$/.test(text) ? Number.parseFloat(text) : parseDuration(text)),
  compare: byNumber,
  show: (ms) => (Number(ms) < 10 ? `${Number(ms).toFixed(2)}ms` : formatDuration(Number(ms))),
};

const CONDITIONS: ReadonlyMap<string, { fact: Fact; kind: Kind }> = new Map<
  string,
  { fact: Fact; kind: Kind }
>([
  ['tls', { fact: 'tls', kind: { parse: parseVersion, compare: compareVersions, show: String } }],
  ['cipher', { fact: 'cipher', kind: NAME }],
  ['group', { fact: 'group', kind: NAME }],
  ['alpn', { fact: 'alpn', kind: { parse: String, show: String } }],
  [
    'cert-days',
    { fact: 'certDays', kind: { parse: (text) => parseCount(text), compare: byNumber, show: String } },
  ],
  ['pin', { fact: 'pin', kind: { parse: parsePin, show: String } }],
  ['handshake', { fact: 'handshakeMs', kind: DURATION }],
  ['rtt', { fact: 'rttMs', kind: DURATION }],
  [
    'rate',
    {
      fact: 'bytesPerSecond',
      kind: { parse: parseSize, compare: byNumber, show: (rate) => `${formatSize(Number(rate))}/s` },
    },
  ],
]);

const KINDS = new Map([...CONDITIONS.values()].map(({ fact, kind }) => [fact, kind]));

function holds({ fact, operator, wanted }: Requirement, observed: string | number | undefined): boolean {
  const kind = KINDS.get(fact);
  if (observed === undefined || kind === undefined) return false;
  if (kind.compare === undefined) return kind.isEqual?.(observed, wanted) ?? observed === wanted;
  const difference = kind.compare(observed, wanted);
  if (operator === '=') return difference === 0;
  return operator === '>=' ? difference >= 0 : difference <= 0;
}

function observedText(fact: Fact, observed: string | number | undefined): string | null {
  return observed === undefined ? null : (KINDS.get(fact)?.show(observed) ?? String(observed));
}

function parseVersion(text: string): string {
  if (/^1\.[0-3]$/.test(text)) return text;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no version of TLS: 1.0 to 1.3.`);
}

// Node writes TLSv1 for 1.0.
function compareVersions(observed: string | number, wanted: string | number): number {
  const minor = (version: string | number) =>
    Number(/^(?:TLSv)?1(?:\.(\d))?$/.exec(String(version))?.[1] ?? 0);
  return minor(observed) - minor(wanted);
}

function parsePin(text: string): string {
  if (isPin(text)) return text;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no pin: it is written sha256//BASE64.`);
}
