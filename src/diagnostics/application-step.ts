import { connect, type ConnectOptions } from '../client/connect.ts';
import type { Clock } from '../clock.ts';
import { toSealiftError, type ErrorCode, type SealiftError } from '../errors.ts';
import type { HelloAnswer } from '../protocol/responses.ts';
import { probeTls, type TlsProbeOptions } from '../transport/probe.ts';
import { finding, type Finding, type FindingCode } from './findings.ts';
import { certificateRefused, certificateRequired } from './tls-findings.ts';

/** How a step went. */
export interface StepResult {
  state: 'ok' | 'failed' | 'skipped';
  /** Null for what was skipped. */
  ms: number | null;
  /** What there is to say of it, for people. */
  detail: string;
}

export const SKIPPED: StepResult = { state: 'skipped', ms: null, detail: '' };

/** What the server says behind TLS. */
export interface ApplicationSight {
  login: StepResult;
  application: StepResult;
  /** One round trip through the protocol, in milliseconds. */
  rttMs?: number;
  /** How far its clock is ahead of ours, in milliseconds. */
  clockSkewMs?: number;
  /** Whether our certificate told the server who we are; missing where that does not show. */
  isCertificateKnown?: boolean;
  findings: Finding[];
}

/** Logs in to a Sealift server with what `options` hold, and asks it for the time. */
export async function sealiftApplication(options: ConnectOptions, clock: Clock): Promise<ApplicationSight> {
  const startMs = clock.monotonicMs();
  const elapsedMs = () => clock.monotonicMs() - startMs;
  try {
    const client = await connect({ ...options, clock });
    try {
      const login: StepResult = { state: 'ok', ms: elapsedMs(), detail: loginDetail(client.hello) };
      const askedMs = clock.monotonicMs();
      const serverMs = await client.ping(options.signal === undefined ? {} : { signal: options.signal });
      const rttMs = clock.monotonicMs() - askedMs;
      const clockSkewMs = Math.round(serverMs - (clock.now() - rttMs / 2));
      const application: StepResult = { state: 'ok', ms: rttMs, detail: 'a round trip through the protocol' };
      const known = certificateKnown(options, client.hello.principal !== null);
      const isStranger = known.isCertificateKnown === false;
      const findings = [...skewFindings(clockSkewMs), ...(isStranger ? [STRANGER] : [])];
      return { login, application, rttMs, clockSkewMs, findings, ...known };
    } finally {
      await client.close();
    }
  } catch (cause) {
    const error = toSealiftError(cause);
    if (error.code === 'aborted') throw error;
    const login: StepResult = { state: 'failed', ms: elapsedMs(), detail: error.code };
    const findings = [loginFinding(error)];
    return { login, application: SKIPPED, findings, ...certificateKnown(options, false) };
  }
}

/** Asks a web server for its first page, which also shows whether it wants a certificate that TLS did not ask for. */
export async function webApplication(options: TlsProbeOptions, host: string): Promise<ApplicationSight> {
  const { clock, cert } = options;
  const startMs = clock.monotonicMs();
  const say = `GET / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: sealift\r\nConnection: close\r\n\r\n`;
  const { answer, failure } = await probeTls({ ...options, say });
  const ms = clock.monotonicMs() - startMs;
  const text = answer.toString('latin1');
  const status = /^HTTP\/1\.[01] (\d{3} [^\r\n]*)/.exec(text)?.[1];
  if (status === undefined) {
    const message = `It agreed on HTTP, and did not answer in it${failure ? `: ${failure.message}` : '.'}`;
    const remedy = 'Look at the log of the server.';
    return {
      login: SKIPPED,
      application: { state: 'failed', ms, detail: 'no answer' },
      findings: [finding('application-failed', message, remedy)],
    };
  }
  const application: StepResult = { state: 'ok', ms, detail: `HTTP: ${status}` };
  const complaint = /No required SSL certificate|SSL certificate error/i.exec(text)?.[0];
  if (complaint === undefined) return { login: SKIPPED, application, findings: [] };
  return {
    login: { state: 'failed', ms, detail: complaint },
    application,
    findings: [cert === undefined ? certificateRequired([]) : certificateRefused(complaint)],
  };
}

/** With a token beside it nobody can tell which of the two was looked at. */
function certificateKnown(
  { cert, token }: ConnectOptions,
  isKnown: boolean,
): { isCertificateKnown?: boolean } {
  return cert === undefined || token !== undefined ? {} : { isCertificateKnown: isKnown };
}

const STRANGER = finding(
  'client-certificate-refused',
  'The server let us in as it lets anybody in: our client certificate told it nothing.',
  'Put its pin or its name into the users file of the server (sealift cert show FILE).',
  'warning',
);

/** From here on certificates and times of files are judged wrongly sooner or later, in milliseconds. */
const MAX_SKEW_MS = 5_000;

function skewFindings(skewMs: number): Finding[] {
  if (Math.abs(skewMs) <= MAX_SKEW_MS) return [];
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  return [
    finding(
      'clock-skew',
      `The clock of the server is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours.`,
      'Let both machines follow a time server (timedatectl set-ntp true).',
    ),
  ];
}

function loginFinding({ code, message, hint }: SealiftError): Finding {
  if (code === 'tls-refused') return certificateRefused(message);
  const isRefused = code === 'unauthenticated' || code === 'forbidden';
  const remedy =
    hint ??
    (isRefused ? 'Give a token or a client certificate that it knows: --token-file, --cert.' : TRY_AGAIN);
  return finding(
    isRefused ? 'login-refused' : (TRUST_FINDINGS[code] ?? 'application-failed'),
    message,
    remedy,
  );
}

/** What keeps a transfer from believing a server, and the look at its certificates did not show. */
const TRUST_FINDINGS: Partial<Record<ErrorCode, FindingCode>> = {
  'certificate-untrusted': 'untrusted',
  'certificate-expired': 'expired',
  'certificate-not-yet-valid': 'not-yet-valid',
  'certificate-wrong-name': 'wrong-name',
  'pin-mismatch': 'pin-mismatch',
};

const TRY_AGAIN = 'Look at the log of the server, and try again.';

function loginDetail({ principal, permissions }: HelloAnswer): string {
  return `as ${principal ?? 'nobody in particular'} (${permissions.join(', ') || 'may do nothing'})`;
}
