import { Argument, type Command, type Option } from 'commander';

import { SealiftError } from '../../errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';

/** `sealift completion SHELL` */
export function addCompletion(program: Command, run: Runner): void {
  const command = program
    .command('completion')
    .description('print a completion script: eval "$(sealift completion bash)"')
    .addArgument(new Argument('<shell>', 'which one').choices(['bash', 'zsh']).argParser(knownShell));
  run(command, async (context, [shell], { load }) => {
    const script = bashScript(await load());
    context.terminal.data(
      shell === 'bash' ? script : `autoload -U +X bashcompinit && bashcompinit\n${script}`,
    );
    return EXIT.done;
  });
}

function knownShell(shell: string): string {
  if (shell === 'bash' || shell === 'zsh') return shell;
  throw new SealiftError('usage', `There is no completion for ${shell}, only for bash and zsh.`);
}

// Made from the commands as they are declared, so that it can never know others.
function bashScript(program: Command): string {
  const commands = program.commands.flatMap((command): [string, Command][] => [
    [command.name(), command],
    ...command.commands.map((inner): [string, Command] => [`${command.name()} ${inner.name()}`, inner]),
  ]);
  const groups = program.commands.filter(({ commands }) => commands.length > 0).map((each) => each.name());
  // The third word is an inner command only once it is whole: until then it is what is to be completed. Bash breaks
  // words at = and :, and what stands before a colon is a server: its files are not those that are here. The quotes
  // that go with file names would also quote the colon of a remote.
  return `_sealift() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  local line=\${COMP_LINE:0:COMP_POINT} words="" values="" files="" first="" offers="" behind=2 name
  local typed=\${line##*[[:space:]]}
  if [[ $typed == --*= ]]; then current=""
  elif [[ $typed == --*=* && $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case "$command" in
    ${groups.join('|')}) if [ "$COMP_CWORD" -gt 2 ]; then command="$command \${COMP_WORDS[2]}" behind=3; fi ;;
  esac
  case "$command" in
${commands.map(([name, command]) => caseLine(name, command)).join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${program.commands.map((command) => command.name()).join(' ')} --help --version" offers=words
  elif [ "$COMP_CWORD" -eq "$behind" ] && [ -n "$first" ]; then
    offers="first $offers"
  fi
  if [[ $current == -* ]]; then offers=words; fi
  if [[ " $values " == *" $previous "* ]]; then offers=""; fi
  if [[ " $files " == *" $previous "* ]]; then offers=files; fi
  case "$command $previous" in
${choiceLines(commands).join('\n')}
  esac
  COMPREPLY=()
  if [[ $offers != files && $typed =~ ^[^/:]+: ]]; then return; fi
  case " $offers " in *" words "*) COMPREPLY+=($(compgen -W "$words" -- "$current")) ;; esac
  case " $offers " in *" first "*) COMPREPLY+=($(compgen -W "$first" -- "$current")) ;; esac
  case " $offers " in
    *" names "*) COMPREPLY+=($(compgen -W "$(_sealift_remotes)" -- "$current")) ;;
    *" places "*)
      COMPREPLY+=($(compgen -S : -W "$(_sealift_remotes)" -- "$current"))
      if [ "\${#COMPREPLY[@]}" -gt 0 ]; then compopt +o filenames -o nospace 2>/dev/null; fi ;;
  esac
  case " $offers " in *" files "*)
    while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -f -- "$current") ;;
  esac
}
_sealift_remotes() { sealift remote list 2>/dev/null | cut -f 1 | sort -u; }
complete -o filenames -o bashdefault -F _sealift sealift`;
}

function caseLine(name: string, command: Command): string {
  const { commands, options, registeredArguments } = command;
  const valued = options.filter(({ required }) => required);
  const variables = {
    words: [...commands.map((inner) => inner.name()), ...options.map(({ long }) => long ?? ''), '--help'],
    values: valued.filter((option) => !namesFile(option)).flatMap(flagsOf),
    files: valued.filter(namesFile).flatMap(flagsOf),
    first: registeredArguments[0]?.argChoices ?? [],
    offers: commands.length > 0 ? ['words'] : offersOf(registeredArguments),
  };
  const set = Object.entries(variables).filter(([, words]) => words.length > 0);
  return `    "${name}") ${set.map(([variable, words]) => `${variable}="${words.join(' ')}"`).join(' ')} ;;`;
}

/** What operands may be, by how they are declared: places, or names, of saved remotes, and local files. */
function offersOf(operands: readonly Argument[]): string[] {
  const [first] = operands;
  if (first === undefined || first.argChoices !== undefined) return [];
  const { description } = first;
  if (description.startsWith('host:path')) return ['places'];
  if (description.includes('host:path')) return ['places', 'files'];
  if (/^host,|^a saved remote/.test(description)) return ['names'];
  return ['files'];
}

/** A line for each list of values, with all options that take one of it. */
function choiceLines(commands: readonly [string, Command][]): string[] {
  const takers = new Map<string, string[]>();
  for (const [name, { options }] of commands) {
    for (const option of options.filter(({ argChoices }) => argChoices !== undefined)) {
      const choices = (option.argChoices ?? []).join(' ');
      const patterns = flagsOf(option).map((flag) => `"${name} ${flag}"`);
      takers.set(choices, [...(takers.get(choices) ?? []), ...patterns]);
    }
  }
  return [...takers].map(
    ([choices, patterns]) => `    ${patterns.join('|')}) words="${choices}" offers=words ;;`,
  );
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined);
}

function namesFile({ flags }: Option): boolean {
  return /<(file|dir|directory|path)>/.test(flags);
}
