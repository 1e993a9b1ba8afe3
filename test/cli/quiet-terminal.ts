import { Terminal } from '../../src/cli/terminal.ts';

/** A terminal as with --quiet, and nothing else asked for. */
export function quietTerminal(): Terminal {
  return new Terminal({ json: false, quiet: true, verbose: false, progress: false, dataOnStdout: false });
}
