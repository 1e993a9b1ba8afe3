import { Command } from 'commander';

import { diagnose, type Diagnosis } from '../../diagnostics/doctor.ts';
import type { End } from '../../diagnostics/findings.ts';
import { diagnosisLines } from '../doctor-display.ts';
import { EXIT } from '../exit-codes.ts';
import { parseServerText } from '../places.ts';
import { addRemoteCommand } from '../remote-command.ts';
import { requirementsOf, requireSetting } from '../requirements.ts';
import type { RunContext } from '../run-context.ts';
import type { Runner } from '../runner.ts';
import { setting } from '../settings.ts';

/** `sealift doctor HOST[:PORT]` */
export function addDoctor(program: Command, run: Runner): void {
  const command = new Command('doctor')
    .description('examine any TLS server: name, TCP, TLS, certificate, login, application')
    .argument('<server>', 'host, host:port, name or sealift://host:port')
    .addOption(setting('--servername <name>', 'ask for this name, and expect it in the certificate'))
    .addOption(setting('--alpn <protocol>', 'offer this protocol instead of sealift/1 and http/1.1'))
    .addOption(setting('-4, --ipv4', 'only IPv4 addresses'))
    .addOption(setting('-6, --ipv6', 'only IPv6 addresses').conflicts('ipv4'))
    .addOption(
      setting('--pem', 'print the certificates as they were sent; the report goes to standard error'),
    )
    .addOption(requireSetting());
  addRemoteCommand(program, run, command, async (context, [text]) => {
    const diagnosis = await diagnosed(context, String(text));
    const exitCode = diagnosis.end === undefined ? EXIT.done : EXIT_CODES[diagnosis.end];
    tell(context, diagnosis, exitCode);
    return exitCode;
  });
}

const EXIT_CODES: Readonly<Record<End, number>> = {
  unreachable: EXIT.cannotConnect,
  trust: EXIT.trust,
  login: EXIT.refused,
  'gave-up': EXIT.gaveUp,
  condition: EXIT.requirement,
};

async function diagnosed(context: RunContext, text: string): Promise<Diagnosis> {
  const { servername, alpn, ipv4, ipv6 } = context.settings as {
    servername?: string;
    alpn?: string;
    ipv4?: boolean;
    ipv6?: boolean;
  };
  // What expires is a finding.
  const { onExpiring: _told, ...server } = await context.connectOptions(parseServerText(text));
  return diagnose({
    server: { ...server, ...(servername === undefined ? {} : { servername }) },
    alpn,
    family: ipv4 === true ? 4 : ipv6 === true ? 6 : undefined,
    requirements: requirementsOf(context.settings),
  });
}

function tell({ terminal, settings }: RunContext, diagnosis: Diagnosis, exitCode: number): void {
  const { target, addresses, steps, tls, certificate, clockSkewMs, findings } = diagnosis;
  const { pem, ...facts } = certificate ?? { pem: '' };
  const wantsPem = settings['pem'] === true;
  terminal.event('doctor', {
    target,
    ok: exitCode === EXIT.done,
    exitCode,
    addresses,
    steps: steps.map(({ name, state, ms }) => ({ name, state, ms: ms === null ? null : rounded(ms) })),
    tls,
    certificate: certificate === null ? null : { ...facts, ...(wantsPem ? { pem } : {}) },
    clockSkewMs,
    findings,
  });
  if (terminal.options.json) return;
  if (wantsPem && pem !== '') terminal.data(pem.trimEnd());
  if (terminal.options.quiet) {
    const where = (message: string) => (message.includes(target) ? '' : `${target}: `);
    for (const { severity, code, message, remedy } of findings)
      if (severity === 'error') terminal.warn(`doctor: ${code}: ${where(message)}${message} ${remedy}`);
    return;
  }
  const stream = wantsPem ? process.stderr : process.stdout;
  const lines = diagnosisLines(diagnosis, exitCode, stream);
  for (const line of lines)
    if (wantsPem) terminal.note(line);
    else terminal.data(line);
}

// To the microsecond.
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
