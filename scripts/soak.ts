// Lets a server and a client work on each other for hours, through cuts, restarts and full disks, and looks in the end
// whether every content was right, and everything that was taken was given back.
import { formatDuration } from '../src/units.ts';
import { CliHome } from '../test/support/cli.ts';
import { canMount } from '../test/support/mounted-disk.ts';
import { TinyDisk } from '../test/support/tiny-disk.ts';
import { parseSoakOptions, USAGE, type SoakOptions } from './soak/options.ts';
import { Soak } from './soak/run.ts';
import { findingsTable } from './soak/verdict.ts';

/** Larger than all that ever stands there, and small enough to be filled in a moment. */
const DISK = { bytes: 384 * 2 ** 20, inodes: 50_000 };

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const options = parseSoakOptions(process.argv.slice(2));
if (options === undefined) console.log(USAGE);
else process.exitCode = (await soak(options)) ? 0 : 1;

async function soak({ seconds, seed }: SoakOptions): Promise<boolean> {
  console.log(`Soaking for ${formatDuration(seconds * 1_000)}; the same disturbances again: --seed ${seed}`);
  const home = new CliHome();
  const disk = canMount ? await TinyDisk.mount(DISK) : undefined;
  if (disk === undefined) console.log('No disk is filled: this machine lets its user mount none.');
  const run = new Soak(home, disk, { seconds, seed });
  const cleanUp = async () => {
    await run.close();
    await home.close();
    await disk?.close();
  };
  const onSignal = () => void cleanUp().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, onSignal);
  try {
    const findings = await run.findings();
    console.log(`\n${findingsTable(findings)}`);
    const holds = findings.every((finding) => finding.holds);
    console.log(`\n${holds ? 'Everything held.' : 'Something did not hold.'}`);
    return holds;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    await cleanUp();
  }
}
