import type { Command } from 'commander';

import { SealiftError } from '../../errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';

/** `sealift completion SHELL` */
export function addCompletion(program: Command, run: Runner): void {
  const command = program
    .command('completion')
    .description('print a completion script: eval "$(sealift completion bash)"')
    .argument('<shell>', 'bash or zsh');
  run(command, async (context, [shell], { load }) => {
    if (shell !== 'bash' && shell !== 'zsh')
      throw new SealiftError('usage', `There is no completion for ${String(shell)}, only for bash and zsh.`);
    const script = bashScript(await load());
    context.terminal.data(
      shell === 'bash' ? script : `autoload -U +X bashcompinit && bashcompinit\n${script}`,
    );
    return EXIT.done;
  });
}

// Made from the commands as they are declared, so that it can never know others.
function bashScript(program: Command): string {
  const cases = program.commands.flatMap((command) => [
    caseLine(command.name(), command),
    ...command.commands.map((inner) => caseLine(`${command.name()} ${inner.name()}`, inner)),
  ]);
  const groups = program.commands.filter(({ commands }) => commands.length > 0).map((each) => each.name());
  // The third word is an inner command only once it is whole: until then it is what is to be completed.
  return `_sealift() {
  local current=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]} words="" names="" name
  case "$command" in
    ${groups.join('|')}) if [ "$COMP_CWORD" -gt 2 ]; then command="$command \${COMP_WORDS[2]}"; else names=1; fi ;;
  esac
  case "$command" in
${cases.join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${program.commands.map((command) => command.name()).join(' ')} --help --version"
    names=1
  fi
  if [ -n "$names" ] || [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=()
    while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -f -- "$current")
  fi
}
complete -o filenames -o bashdefault -F _sealift sealift`;
}

function caseLine(name: string, command: Command): string {
  const words = [
    ...command.commands.map((inner) => inner.name()),
    ...command.options.map(({ long }) => long ?? ''),
    '--help',
  ];
  return `    "${name}") words="${words.join(' ')}" ;;`;
}
