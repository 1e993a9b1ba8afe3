import type { Command } from 'commander';

import { configurationFile, readConfiguration } from '../configuration.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import { settingsInEffect } from '../settings-in-effect.ts';

/** `sealift config path`, `sealift config show` */
export function addConfig(program: Command, run: Runner): void {
  const config = program.command('config').description('the configuration file, and the settings in effect');
  const path = config.command('path').description('print the name of the configuration file');
  run(path, async ({ settings, directories, terminal }) => {
    const file = configurationFile(settings['config'], directories);
    terminal.event('configuration', { file });
    if (!terminal.options.json) terminal.data(printable(file));
    return EXIT.done;
  });
  const show = config.command('show').description('print every setting in effect, and where it comes from');
  run(show, async ({ settings, directories, terminal }, _, { load }) => {
    const configuration = await readConfiguration(settings['config'], directories);
    for (const { name, value, from } of settingsInEffect(await load(), configuration)) {
      terminal.event('setting', { name, value, from });
      if (!terminal.options.json) terminal.data([name, value, from].map(printable).join('\t'));
    }
    return EXIT.done;
  });
}
