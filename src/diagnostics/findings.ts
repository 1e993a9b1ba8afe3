/**
 * Everything that the examination of a server can find, with what it means for the verdict. `end` is the way in which
 * the server cannot be used because of it; what has none only deserves to be known.
 */
const FINDING_KINDS = {
  unreachable: { severity: 'error', end: 'unreachable' },
  'not-tls': { severity: 'error', end: 'unreachable' },
  'address-unreachable': { severity: 'warning' },

  'tls-refused': { severity: 'error', end: 'trust' },
  'alpn-refused': { severity: 'error', end: 'trust' },
  'old-version': { severity: 'warning' },
  resumption: { severity: 'warning' },
  'no-alpn': { severity: 'warning' },
  'alpn-not-enforced': { severity: 'warning' },
  'not-post-quantum': { severity: 'info' },

  expired: { severity: 'error', end: 'trust' },
  'not-yet-valid': { severity: 'error', end: 'trust' },
  'wrong-name': { severity: 'error', end: 'trust' },
  'wrong-usage': { severity: 'error', end: 'trust' },
  'self-signed': { severity: 'error', end: 'trust' },
  'unknown-ca': { severity: 'error', end: 'trust' },
  'missing-intermediate': { severity: 'error', end: 'trust' },
  untrusted: { severity: 'error', end: 'trust' },
  'weak-key': { severity: 'error', end: 'trust' },
  'weak-signature': { severity: 'error', end: 'trust' },
  'pin-mismatch': { severity: 'error', end: 'trust' },
  'expires-soon': { severity: 'warning' },
  'chain-order': { severity: 'warning' },
  'old-name': { severity: 'warning' },

  'client-certificate-required': { severity: 'error', end: 'trust' },
  'client-certificate-refused': { severity: 'error', end: 'trust' },
  'client-certificate-requested': { severity: 'info' },
  'login-refused': { severity: 'error', end: 'login' },
  'application-failed': { severity: 'error', end: 'gave-up' },
  'clock-skew': { severity: 'warning' },
  'condition-failed': { severity: 'error', end: 'condition' },
} as const satisfies Record<string, Kind>;

export type Severity = 'error' | 'warning' | 'info';

/** Why a server cannot be used, in the order in which that shows. */
const ENDS = ['unreachable', 'trust', 'login', 'gave-up', 'condition'] as const;
export type End = (typeof ENDS)[number];

interface Kind {
  severity: Severity;
  end?: End;
}

/** The closed set of findings. */
export type FindingCode = keyof typeof FINDING_KINDS;

/** Something about a server that somebody should know. */
export interface Finding {
  severity: Severity;
  code: FindingCode;
  /** One sentence: what is the case. */
  message: string;
  /** One sentence: the command or the setting that mends it. */
  remedy: string;
}

/** A finding of the severity that its code has, or of a lower one. */
export function finding(code: FindingCode, message: string, remedy: string, severity?: Severity): Finding {
  return { severity: severity ?? FINDING_KINDS[code].severity, code, message, remedy };
}

/** The first reason, by what shows first, for which the server cannot be used; undefined if it can. */
export function endOf(findings: readonly Finding[]): End | undefined {
  const ends = findings.filter(({ severity }) => severity === 'error').map(({ code }) => endFor(code));
  return ENDS.find((end) => ends.includes(end));
}

function endFor(code: FindingCode): End | undefined {
  return (FINDING_KINDS[code] as Kind).end;
}
