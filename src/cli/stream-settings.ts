import type { TransferOptions } from '../client/transfer-options.ts';
import { printable } from './escape.ts';
import type { RunContext } from './run-context.ts';

const told = new WeakSet<RunContext>();

/** What `--streams` asks for. That there are fewer connections is said once in a run. */
export function streamSettings(context: RunContext): Pick<TransferOptions, 'streams' | 'onStreamLost'> {
  const { settings, terminal } = context;
  return {
    streams: settings['streams'] as number | undefined,
    onStreamLost: ({ message: reason }) => {
      if (told.has(context)) return;
      told.add(context);
      const message = `Going on with fewer connections than --streams asks for: ${reason}`;
      terminal.event('warning', { message });
      // The run is none the worse for it: with --quiet there is nothing to say.
      terminal.note(`sealift: ${printable(message)}`);
    },
  };
}
