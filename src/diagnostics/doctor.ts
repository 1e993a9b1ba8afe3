import type { ConnectOptions } from '../client/connect.ts';
import { systemClock, type Clock } from '../clock.ts';
import { toSealiftError, type SealiftError } from '../errors.ts';
import { ALPN_ID } from '../protocol/limits.ts';
import { shellWord } from '../shell-word.ts';
import { formatAddress, tlsName, type Address } from '../transport/address.ts';
import type { Peer } from '../transport/peer.ts';
import { probeTcp, probeTls, type TlsProbeOptions, type TlsSight } from '../transport/probe.ts';
import { resolveHost } from '../transport/resolve-host.ts';
import { trustedRoots } from '../transport/trusted-roots.ts';
import { alternativeName } from '../trust/certificate-names.ts';
import { certificatesIn } from '../trust/pem.ts';
import {
  sealiftApplication,
  SKIPPED,
  webApplication,
  type ApplicationSight,
  type StepResult,
} from './application-step.ts';
import { certificateFindings, type Chain } from './certificate-findings.ts';
import { certificateReport, type CertificateReport } from './certificate-report.ts';
import { endOf, finding, type End, type Finding, type FindingCode } from './findings.ts';
import { opensslSight } from './openssl-sight.ts';
import { failedRequirements, type ObservedFacts, type Requirement } from './requirements.ts';
import {
  protocolRefused,
  tlsFindings,
  tlsReport,
  type TlsObservations,
  type TlsReport,
} from './tls-findings.ts';
import { tlsHabits } from './tls-habits.ts';

/** What to examine, and how. */
export interface DoctorOptions {
  /** The server, whom to trust, and who we are. */
  server: ConnectOptions;
  /** Only addresses of this family. Default: both. */
  family?: 4 | 6 | undefined;
  /** Offered instead of what this program and web servers speak. */
  alpn?: string | undefined;
  requirements?: readonly Requirement[] | undefined;
  /** The program that shows what Node does not. Default `openssl`, where it is installed. */
  openssl?: string | undefined;
  clock?: Clock | undefined;
}

const STEPS = ['dns', 'tcp', 'tls', 'certificate', 'login', 'application'] as const;

export type Step = { name: (typeof STEPS)[number] } & StepResult;

/** What an examination brought. */
export interface Diagnosis {
  /** The server, as it is written. */
  target: string;
  /** Why the server cannot be used; undefined if it can. */
  end: End | undefined;
  /** Every step, in order. */
  steps: Step[];
  /** The addresses of the name. */
  addresses: string[];
  tls: TlsReport | null;
  certificate: CertificateReport | null;
  /** How far the server's clock is ahead of ours, where it tells its time. */
  clockSkewMs: number | null;
  /** The worst first. */
  findings: Finding[];
}

/**
 * Examines a server, of this project or any other that speaks TLS, from its name to its application. What is wrong
 * with the server is a finding, never an error. Rejects with `aborted`, and with `bad-configuration` for a certificate
 * or key of ours that cannot be used.
 */
export async function diagnose(options: DoctorOptions): Promise<Diagnosis> {
  return new Examination(options).run();
}

/** What is offered where the user names nothing: this project's protocol, and that of web servers. */
const OFFERED = [ALPN_ID, 'http/1.1'];
const CONNECT_TIMEOUT_MS = 10_000;

class Examination {
  readonly #options: DoctorOptions;
  readonly #server: ConnectOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** What the certificate has to be for, as it stands there. */
  readonly #host: string;
  readonly #steps = new Map<string, StepResult>();
  #findings: Finding[] = [];
  readonly #facts: ObservedFacts = {};
  #addresses: string[] = [];
  #tls: TlsReport | null = null;
  #certificate: CertificateReport | null = null;
  #clockSkewMs: number | null = null;

  constructor(options: DoctorOptions) {
    const { server, clock = systemClock } = options;
    this.#options = options;
    this.#server = server;
    this.#clock = clock;
    this.#timeoutMs = server.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#host = tlsName(server.servername ?? ('host' in server.address ? server.address.host : ''));
  }

  async run(): Promise<Diagnosis> {
    const addresses = await this.#resolve();
    const address = addresses.length === 0 ? undefined : await this.#reach(addresses);
    if (address !== undefined) await this.#examine(address);
    this.#judgeRequirements();
    const target = formatAddress(this.#server.address);
    return {
      target,
      end: endOf(this.#findings),
      steps: STEPS.map((name) => ({ name, ...(this.#steps.get(name) ?? SKIPPED) })),
      addresses: this.#addresses,
      tls: this.#tls,
      certificate: this.#certificate,
      clockSkewMs: this.#clockSkewMs,
      findings: this.#findings.toSorted((one, other) => rank(one) - rank(other)),
    };
  }

  async #resolve(): Promise<Address[]> {
    const { address, signal } = this.#server;
    if ('path' in address) return [address];
    const startMs = this.#clock.monotonicMs();
    const ms = () => this.#clock.monotonicMs() - startMs;
    const { family } = this.#options;
    try {
      const limits = { clock: this.#clock, timeoutMs: this.#timeoutMs, signal };
      this.#addresses = await resolveHost(address.host, { family, ...limits });
      this.#steps.set('dns', { state: 'ok', ms: ms(), detail: this.#addresses.join(', ') });
      return this.#addresses.map((host) => ({ host, port: address.port }));
    } catch (error) {
      this.#steps.set('dns', { state: 'failed', ms: ms(), detail: '' });
      this.#unreachable(error, 'Check the spelling of the name, and the name servers (getent hosts NAME).');
      return [];
    }
  }

  /** Tries all addresses at once; resolves with the first in order that can be reached. */
  async #reach(addresses: readonly Address[]): Promise<Address | undefined> {
    const { signal } = this.#server;
    const startMs = this.#clock.monotonicMs();
    const attempts = await Promise.allSettled(
      addresses.map((address) =>
        probeTcp({ address, clock: this.#clock, timeoutMs: this.#timeoutMs, signal }),
      ),
    );
    const index = attempts.findIndex(({ status }) => status === 'fulfilled');
    const reached = attempts[index];
    attempts.forEach((attempt) => {
      if (attempt.status === 'rejected') this.#notReached(toSealiftError(attempt.reason), index >= 0);
    });
    if (reached?.status !== 'fulfilled') {
      this.#steps.set('tcp', { state: 'failed', ms: this.#clock.monotonicMs() - startMs, detail: '' });
      return undefined;
    }
    const address = addresses[index];
    const detail = address === undefined ? '' : formatAddress(address);
    this.#steps.set('tcp', { state: 'ok', ms: reached.value, detail });
    this.#facts.rttMs = reached.value;
    return address;
  }

  #notReached(error: SealiftError, isAnotherReached: boolean): void {
    const remedy = 'Is the server running, is that its port, and does a firewall let it through?';
    if (!isAnotherReached) this.#unreachable(error, remedy);
    else this.#findings.push(finding('address-unreachable', error.message, remedy));
  }

  #unreachable(cause: unknown, remedy: string): void {
    const error = toSealiftError(cause);
    if (error.code === 'aborted') throw error;
    this.#findings.push(finding('unreachable', error.message, remedy));
  }

  async #examine(address: Address): Promise<void> {
    const [sight, probe] = await this.#shakeHands(address);
    const { peer, chain } = sight;
    const [habits, openssl] =
      peer === undefined
        ? [undefined, undefined]
        : [await tlsHabits(probe, sight), await opensslSight(probe, this.#options.openssl)];
    const hasCertificate = probe.cert !== undefined;
    const { servername } = probe;
    // Of what was asked for by name it is told already that the server does not have it.
    const offered = this.#options.alpn === undefined ? OFFERED : probe.alpn;
    const observations = { sight, habits, openssl, servername, offered, hasCertificate };
    this.#noteTls(observations);
    if (peer === undefined) return;
    const [leaf, ...issuers] = chain;
    if (leaf !== undefined) this.#judgeCertificates([leaf, ...issuers], peer);
    await this.#enter(address, probe, sight);
  }

  /** Sets TLS up; where none of the protocols that are offered will do, without any. */
  async #shakeHands(address: Address): Promise<[TlsSight, TlsProbeOptions]> {
    const { ca, cert, key, passphrase, signal, servername } = this.#server;
    const isName = alternativeName(this.#host)?.type !== 'ip';
    const probe: TlsProbeOptions = {
      address,
      servername: servername !== undefined || isName ? this.#host : '',
      alpn: this.#offered,
      clock: this.#clock,
      timeoutMs: this.#timeoutMs,
      ...{ ca, cert, key, passphrase, signal },
    };
    const sight = await probeTls(probe);
    if (sight.failure?.code !== 'alpn-refused') return [sight, probe];
    const without = { ...probe, alpn: [] };
    const other = await probeTls(without);
    if (other.peer === undefined || other.hasEnded) return [sight, probe];
    if (this.#options.alpn !== undefined) this.#findings.push(protocolRefused(this.#options.alpn));
    return [other, without];
  }

  get #offered(): readonly string[] {
    return this.#options.alpn === undefined ? OFFERED : [this.#options.alpn];
  }

  #noteTls(observations: TlsObservations): void {
    const { sight } = observations;
    const report = tlsReport(observations);
    const findings = tlsFindings(observations);
    this.#findings.push(...findings);
    const what = [report.version, report.cipher, report.group, report.alpn].filter((each) => each !== null);
    const isRefused = findings.some(({ code }) => code === 'tls-refused');
    const state = sight.peer === undefined || isRefused ? 'failed' : 'ok';
    this.#steps.set('tls', { state, ms: sight.handshakeMs, detail: what.join(', ') });
    if (sight.peer === undefined) return;
    this.#tls = report;
    this.#facts.tls = sight.peer.tlsVersion;
    this.#facts.cipher = sight.peer.cipher;
    this.#facts.group = report.group ?? undefined;
    this.#facts.alpn = sight.peer.alpn;
    this.#facts.handshakeMs = sight.handshakeMs;
  }

  #judgeCertificates(chain: Chain, { alpn, certificateProblem: problem }: Peer): void {
    const { ca, pins = [], isCaNamed, address } = this.#server;
    const startMs = this.#clock.monotonicMs();
    const roots = ca === undefined ? trustedRoots() : certificatesIn(ca, '--ca');
    const trust = {
      host: this.#host,
      roots,
      hasOwnAuthority: ca !== undefined,
      pins,
      isSealift: alpn === ALPN_ID && isCaNamed !== true,
      calledBy: this.#server.calledBy ?? shellWord(formatAddress(address)),
      clock: this.#clock,
    };
    const findings = certificateFindings(chain, trust);
    const isExplained = findings.some(({ severity }) => severity === 'error');
    // What OpenSSL has against the chain, for what is not looked for here.
    if (problem !== undefined && problem !== 'no certificate' && pins.length === 0 && !isExplained) {
      const message = `OpenSSL does not accept the certificate (${problem.toLowerCase().replaceAll('_', ' ')}).`;
      findings.push(finding('untrusted', message, 'Look at the chain with: openssl verify -verbose.'));
    }
    const report = certificateReport(chain, this.#host, this.#clock);
    const state = findings.some(({ severity }) => severity === 'error') ? 'failed' : 'ok';
    const ms = this.#clock.monotonicMs() - startMs;
    this.#steps.set('certificate', { state, ms, detail: report.subject });
    this.#findings.push(...findings);
    this.#certificate = report;
    this.#facts.certDays = report.daysLeft;
    this.#facts.pin = report.pin;
  }

  /** Goes on behind TLS. Who is not trusted is told nothing of who we are. */
  async #enter(address: Address, probe: TlsProbeOptions, sight: TlsSight): Promise<void> {
    if (this.#findings.some(({ code }) => TURNED_AWAY.includes(code))) {
      this.#steps.set('login', { state: 'failed', ms: sight.handshakeMs, detail: '' });
      return;
    }
    if (sight.peer?.alpn === ALPN_ID) {
      if (endOf(this.#findings) !== undefined && this.#server.insecure !== true) return;
      const { accept: _judgedHere, ...server } = this.#server;
      this.#noteApplication(
        await sealiftApplication({ ...server, address, servername: probe.servername }, this.#clock),
      );
    } else if (sight.peer?.alpn === 'http/1.1') {
      this.#noteApplication(await webApplication(probe, this.#host));
    }
    if (!this.#steps.has('login') && this.#tls?.clientCertificate.accepted === true)
      this.#steps.set('login', {
        state: 'ok',
        ms: sight.handshakeMs,
        detail: 'our certificate was accepted',
      });
  }

  #noteApplication(seen: ApplicationSight): void {
    const { login, application, findings, rttMs, clockSkewMs, isCertificateKnown } = seen;
    if (login.state !== 'skipped') this.#steps.set('login', login);
    this.#steps.set('application', application);
    // A web server may let everybody through TLS, and only then demand what it asked for.
    if (findings.some(({ code }) => code === 'client-certificate-required'))
      this.#findings = this.#findings.filter(({ code }) => code !== 'client-certificate-requested');
    this.#findings.push(...findings);
    this.#clockSkewMs = clockSkewMs ?? null;
    if (this.#tls !== null && isCertificateKnown !== undefined)
      this.#tls.clientCertificate.accepted = isCertificateKnown;
    if (rttMs !== undefined) this.#facts.rttMs = rttMs;
  }

  #judgeRequirements(): void {
    const { requirements = [] } = this.#options;
    for (const { require, observed } of failedRequirements(requirements, this.#facts)) {
      const message = `${require} does not hold: ${observed ?? 'not observed'}.`;
      this.#findings.push(
        finding('condition-failed', message, 'Change the settings of the server, or ask for less.'),
      );
    }
  }
}

/** What leaves nothing to be asked behind TLS. */
const TURNED_AWAY: readonly FindingCode[] = ['client-certificate-required', 'client-certificate-refused'];

function rank({ severity }: Finding): number {
  return ['error', 'warning', 'info'].indexOf(severity);
}
