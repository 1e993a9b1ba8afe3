import type { Command } from 'commander';

import type { Connector } from '../client/connector.ts';
import type { Lease } from '../client/lease.ts';
import { systemClock, type Clock } from '../clock.ts';
import { isSealiftError, SealiftError, toSealiftError } from '../errors.ts';
import { tellFailure } from './endings.ts';
import { printable } from './escape.ts';
import { logEvents, reportEvents, type EventFile } from './event-log.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { callHook, parseHookUrl } from './hooks.ts';
import type { RunContext } from './run-context.ts';
import { secretSetting, setting } from './settings.ts';
import { NOTHING_DONE } from './tally.ts';
import type { EventFields } from './terminal.ts';
import { formatDuration, parseDuration } from '../units.ts';

/** Options of commands that run unattended: the lock, the log, the report, hooks, and the time it may take. */
export function addUnattendedOptions(command: Command): Command {
  return command
    .addOption(
      setting(
        '--lock <name>',
        'run only while no other run holds this lock of the server (else exit code 12)',
      ),
    )
    .addOption(
      setting('--retry-lock <duration>', 'wait so long for the lock', parseDuration).default(0, '0s'),
    )
    .addOption(setting('--log-file <file>', 'append all that happens to this file, as JSON lines'))
    .addOption(setting('--report <file>', 'write every receipt and every error to this file, as JSON lines'))
    .addOption(secretSetting('--on-start <url>', 'tell this URL that the run begins', parseHookUrl))
    .addOption(secretSetting('--on-success <url>', 'tell this URL of exit code 0', parseHookUrl))
    .addOption(secretSetting('--on-failure <url>', 'tell this URL of any other exit code', parseHookUrl))
    .addOption(
      setting('--max-duration <duration>', 'end a run that takes longer (exit code 8)', parseDuration),
    );
}

/** The same for a command that transfers things, and of which it can be a failure that there were none. */
export function addUnattendedTransferOptions(command: Command): Command {
  return addUnattendedOptions(command).addOption(
    setting('--error-on-no-transfer', 'make it exit code 14 if nothing was transferred'),
  );
}

/**
 * Runs `work` with all that these options ask for around it; resolves with the exit code. `work` gets a context
 * whose signal also fires when the run takes too long or its lock is lost; `server` is asked where the lock is kept.
 * What `work` throws is told here, with a summary. A dry run writes no report, takes no lock, and is no business of
 * the hooks.
 */
export async function unattended(
  context: RunContext,
  command: string,
  server: () => Promise<Connector>,
  work: Work,
  clock: Clock = systemClock,
): Promise<number> {
  return new UnattendedRun(context, command, clock).run(server, work);
}

/** How long a run that was killed keeps others away, in milliseconds: longer than a connection that went silent takes to be noticed and replaced, so that a run that lives does not lose its lock. */
const LEASE_MS = 180_000;

type Work = (context: RunContext) => Promise<number>;
type Hook = 'on-start' | 'on-success' | 'on-failure';

class UnattendedRun {
  readonly #context: RunContext;
  readonly #command: string;
  readonly #clock: Clock;
  readonly #isDry: boolean;
  /** Fires with the reason for which this run is to end before its time. */
  readonly #stop = new AbortController();
  #summary: EventFields | undefined;
  #report: EventFile | undefined;

  constructor(context: RunContext, command: string, clock: Clock) {
    this.#context = context;
    this.#command = command;
    this.#clock = clock;
    this.#isDry = context.settings['dryRun'] === true;
  }

  async run(server: () => Promise<Connector>, work: Work): Promise<number> {
    const { terminal, settings } = this.#context;
    terminal.addListener((type, fields) => {
      if (type === 'summary') this.#summary = fields;
    });
    const startMs = this.#clock.monotonicMs();
    const seconds = () => Math.round(this.#clock.monotonicMs() - startMs) / 1_000;
    terminal.summaryFacts = () => ({ ...NOTHING_DONE, seconds: seconds() });
    terminal.amendSummary = (fields) => this.#amended(fields);
    let log: EventFile | undefined;
    let started: Promise<void> | undefined;
    let exitCode: number;
    try {
      if (typeof settings['logFile'] === 'string')
        log = logEvents(terminal, settings['logFile'], { clock: this.#clock });
      started = this.#call('on-start', {}, this.#context.signal);
      exitCode = await this.#withinTime(server, work);
    } catch (error) {
      exitCode = tellFailure(this.#context, this.#command, toSealiftError(error));
    }
    if (this.#summary === undefined) terminal.event('summary', { exitCode });
    this.#report?.close();
    exitCode = this.#judged(exitCode, this.#summary ?? {});
    // The service is to hear of the beginning before the end.
    await started;
    await this.#call(exitCode === EXIT.done ? 'on-success' : 'on-failure', { ...this.#summary, exitCode });
    log?.close();
    return exitCode;
  }

  async #withinTime(server: () => Promise<Connector>, work: Work): Promise<number> {
    const limitMs = this.#context.settings['maxDuration'];
    const cancel = typeof limitMs === 'number' && limitMs > 0 ? this.#endAfter(limitMs) : undefined;
    try {
      return await this.#withLock(server, work);
    } catch (error) {
      // Whatever failed because the run was ended failed for the reason of that.
      throw this.#stop.signal.aborted ? this.#stop.signal.reason : error;
    } finally {
      cancel?.();
    }
  }

  #endAfter(limitMs: number): () => void {
    const message = `The run took longer than --max-duration (${formatDuration(limitMs)}).`;
    return this.#clock.schedule(limitMs, () => {
      this.#context.terminal.cutShort();
      this.#stop.abort(new SealiftError('timeout', message));
    });
  }

  async #withLock(server: () => Promise<Connector>, work: Work): Promise<number> {
    const context = this.#context.withSignal(AbortSignal.any([this.#context.signal, this.#stop.signal]));
    const lease = await this.#lease(context, server);
    lease?.signal.addEventListener('abort', () => this.#stop.abort(lease.signal.reason), { once: true });
    try {
      // Whoever has the lock writes the report; without one, the run may still find another at work.
      this.#openReport({ mayBeKeptOut: lease === undefined });
      const exitCode = await work(context);
      // Work that ends in good order when its signal fires has still failed for the reason of that.
      if (exitCode !== EXIT.done) this.#stop.signal.throwIfAborted();
      return exitCode;
    } finally {
      await lease?.release();
    }
  }

  async #lease(context: RunContext, server: () => Promise<Connector>): Promise<Lease | undefined> {
    const { terminal, settings, signal, retryPolicy: retry } = context;
    const { lock, retryLock } = settings;
    if (typeof lock !== 'string' || this.#isDry) return undefined;
    const { acquireLease } = await import('../client/lease.ts');
    const say = (text: string) => terminal.note(`sealift: ${this.#command}: ${text}`);
    try {
      return await acquireLease(await server(), lock, {
        ttlMs: LEASE_MS,
        waitMs: retryLock as number,
        signal,
        retry,
        clock: this.#clock,
        onWait: () => say(`waiting for the lock ${printable(JSON.stringify(lock))}.`),
        onRetry: ({ error, retry: count, delayMs }) => {
          const { code, message } = error;
          terminal.event('retry', { code, message, retry: count, delayMs: Math.round(delayMs) });
          say(`${printable(message)} Trying again in ${formatDuration(delayMs)}.`);
        },
      });
    } catch (error) {
      // While another run has the lock the report may be its own.
      if (!isSealiftError(error, 'locked')) this.#openReport({ mayBeKeptOut: false });
      throw error;
    }
  }

  #openReport({ mayBeKeptOut }: { mayBeKeptOut: boolean }): void {
    const { terminal, settings } = this.#context;
    if (typeof settings['report'] !== 'string' || this.#isDry) return;
    this.#report = reportEvents(terminal, settings['report'], { mayBeKeptOut });
  }

  #amended(fields: EventFields): EventFields {
    const given = fields['exitCode'];
    if (typeof given !== 'number') return fields;
    const exitCode = this.#judged(given, fields);
    if (exitCode === EXIT.nothingTransferred) this.#context.terminal.warn('Nothing was transferred.');
    return { ...fields, exitCode };
  }

  /** What becomes of the exit code of the work, given its summary. */
  #judged(exitCode: number, summary: EventFields): number {
    const { signal, hasConnected, settings } = this.#context;
    if (exitCode !== EXIT.done) {
      const isEnded = this.#stop.signal.aborted && !signal.aborted;
      return isEnded ? exitCodeOf(toSealiftError(this.#stop.signal.reason), hasConnected) : exitCode;
    }
    const mustTransfer = settings['errorOnNoTransfer'] === true && !this.#isDry;
    if (mustTransfer && !hasTransferred(summary)) return EXIT.nothingTransferred;
    return this.#report?.hasFailed === true ? EXIT.failure : EXIT.done;
  }

  /** Calls the hook, if there is one. Its failure is no failure of the run. */
  async #call(hook: Hook, facts: EventFields, signal?: AbortSignal): Promise<void> {
    const { terminal, settings } = this.#context;
    const url = settings[SETTING_OF[hook]];
    if (typeof url !== 'string' || this.#isDry) return;
    try {
      const body = { command: this.#command, ...facts };
      await callHook(url, body, { clock: this.#clock, signal });
    } catch (error) {
      if (signal?.aborted === true) return;
      terminal.warn(`--${hook}: ${toSealiftError(error).message}`);
    }
  }
}

/** The counts of a summary that say that something was transferred, besides directories. */
const TRANSFERS = ['files', 'links', 'attributes', 'deleted', 'moved'];

function hasTransferred(summary: EventFields): boolean {
  const count = (name: string) => Number(summary[name] ?? 0);
  // The time of a directory hangs on what came and went in it, also of what is left out.
  return TRANSFERS.some((name) => count(name) > 0) || count('directories') > count('adjustedDirectories');
}

const SETTING_OF: Record<Hook, string> = {
  'on-start': 'onStart',
  'on-success': 'onSuccess',
  'on-failure': 'onFailure',
};
