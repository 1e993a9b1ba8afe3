import { styleText } from 'node:util';

import type { Diagnosis, Step } from '../diagnostics/doctor.ts';
import type { Finding } from '../diagnostics/findings.ts';
import type { TlsReport } from '../diagnostics/tls-findings.ts';
import { certificateLines, factLines } from './certificate-display.ts';
import { printable } from './escape.ts';
import { EXIT } from './exit-codes.ts';

/** A diagnosis for a person: the steps, the facts, what is wrong and how to mend it, and the verdict. In colour, and folded, where `stream` is a terminal. */
export function diagnosisLines(
  { target, steps, tls, certificate, clockSkewMs, findings }: Diagnosis,
  exitCode: number,
  stream: NodeJS.WriteStream,
): string[] {
  const painted: Paint = (style, text) => styleText(STYLES[style], text, { stream });
  const width = stream.isTTY ? stream.columns || 80 : Infinity;
  const matched = certificate?.matchedName ?? null;
  const sections = [
    [`doctor ${printable(target)}`],
    steps.flatMap((step) => stepLines(step, width, painted)),
    tls === null ? [] : factLines(tlsFacts(tls)),
    certificate === null
      ? []
      : [
          ...certificateLines(certificate),
          ...factLines({
            matches: matched ?? 'none of its names',
            ...(certificate.signatureAlgorithm === null
              ? {}
              : { 'signed with': certificate.signatureAlgorithm }),
          }),
          ...certificate.chain.flatMap(({ subject, key, daysLeft }, index) =>
            factLines({ [`chain ${index + 1}`]: `${subject} (${key}, ${daysText(daysLeft)})` }),
          ),
        ],
    clockSkewMs === null
      ? []
      : factLines({ clock: `${clockSkewMs >= 0 ? '+' : ''}${clockSkewMs} ms from ours` }),
    findings.flatMap((finding) => findingLines(finding, width, painted)),
    [verdict(findings, exitCode, painted)],
  ];
  return sections
    .filter((section) => section.length > 0)
    .flatMap((section, index) => [
      ...(index === 0 ? [] : ['']),
      ...section.flatMap((line) => folded(line, width)),
    ]);
}

type Style = 'ok' | 'failed' | 'skipped' | Finding['severity'];
type Paint = (style: Style, text: string) => string;

const STYLES = {
  ok: 'green',
  failed: 'red',
  skipped: 'dim',
  error: 'red',
  warning: 'yellow',
  info: 'cyan',
} as const satisfies Record<Style, string>;

function stepLines({ name, state, ms, detail }: Step, width: number, painted: Paint): string[] {
  const time = ms === null ? '' : `${ms.toFixed(1)} ms`;
  const line = `${state.padEnd(7)} ${name.padEnd(11)} ${time.padStart(10)}  ${printable(detail)}`.trimEnd();
  const [first = '', ...others] = folded(line, width, STEP_INDENT);
  return [painted(state, first.slice(0, state.length)) + first.slice(state.length), ...others];
}

/** Where the facts begin behind the names of `factLines`, and those of steps. */
const FACT_INDENT = 12;
const STEP_INDENT = 32;
const FINDING_INDENT = 8;

function tlsFacts(tls: TlsReport): Record<string, string> {
  const { group, postQuantum, alpn, alpnEnforced, clientCertificate } = tls;
  const pq = postQuantum === null ? '' : ` (${postQuantum ? 'post-quantum' : 'not post-quantum'})`;
  const enforced = alpnEnforced === null ? '' : ` (${alpnEnforced ? 'enforced' : 'not enforced'})`;
  return {
    version: tls.version ?? UNSEEN,
    'also takes':
      tls.olderVersions?.length === 0 ? 'nothing older' : (tls.olderVersions?.join(', ') ?? UNSEEN),
    cipher: tls.cipher ?? UNSEEN,
    group: group === null ? UNSEEN : `${group}${pq}`,
    proof: tls.signature ?? UNSEEN,
    alpn: `${alpn ?? 'none'}${enforced}`,
    'asked for': tls.servername ?? 'no name',
    resumption: tls.resumption === null ? UNSEEN : tls.resumption ? 'accepted' : 'not accepted',
    'client cert': clientCertificateText(clientCertificate),
  };
}

const UNSEEN = 'not observed';

function clientCertificateText({ requested, authorities, accepted }: TlsReport['clientCertificate']): string {
  if (requested !== true) return requested === false ? 'not asked for' : UNSEEN;
  const of = authorities === null || authorities.length === 0 ? '' : `, from ${authorities.join(' or ')}`;
  return `asked for${of}${accepted === null ? '' : accepted ? ', ours accepted' : ', ours refused'}`;
}

function daysText(daysLeft: number): string {
  return daysLeft < 0 ? 'expired' : `${daysLeft} days left`;
}

function findingLines({ severity, code, message, remedy }: Finding, width: number, painted: Paint): string[] {
  const indented = (text: string) =>
    folded(`${' '.repeat(FINDING_INDENT)}${printable(text)}`, width, FINDING_INDENT);
  return [
    `${painted(severity, severity.padEnd(FINDING_INDENT))}${code}`,
    ...indented(message),
    ...indented(`Mend: ${remedy}`),
  ];
}

function verdict(findings: readonly Finding[], exitCode: number, painted: Paint): string {
  const counts = (['error', 'warning', 'info'] as const).flatMap((severity) => {
    const count = findings.filter((each) => each.severity === severity).length;
    const plural = severity === 'info' || count === 1 ? '' : 's';
    return count === 0 ? [] : [`${count} ${severity}${plural}`];
  });
  const text = exitCode === EXIT.done ? 'ok' : `failed, exit code ${exitCode}`;
  return `${painted(exitCode === EXIT.done ? 'ok' : 'failed', text)}: ${counts.join(', ') || 'nothing found'}`;
}

/** `line` in pieces of at most `width` columns, broken between words, those after the first moved in. */
function folded(line: string, width: number, indent = FACT_INDENT): string[] {
  if (line.length <= width || line.includes('\u001b')) return [line];
  const room = line.slice(0, width + 1);
  const at = room.lastIndexOf(' ');
  // A word that is longer than a line is left whole, to be copied.
  const end = at > indent ? at : line.indexOf(' ', indent + 1);
  if (end <= indent) return [line];
  return [line.slice(0, end), ...folded(' '.repeat(indent) + line.slice(end).trimStart(), width, indent)];
}
