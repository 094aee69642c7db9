import type { CommandLine } from '../command-line.ts';
import {
  type Candidates,
  candidatesOfOption,
  candidatesOfParameter,
  serviceNames,
  settableKeys,
} from './candidates.ts';

/** Generates bash completion, based on the bash-completion package: https://github.com/scop/bash-completion. */
export function bashCompletion(programs: readonly CommandLine[]): string {
  return [preamble, ...programs.map(programFunction), ''].join('\n');
}

const preamble = `# bash completion of smallservd and smallserv. Made from the code: npm run docs.
# shellcheck shell=bash

_smallservd_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_smallservd_hosts() {
  _known_hosts_real -- "$cur"
  __ltrim_colon_completions "$cur"
}

# The keys of a config, for --set KEY=VALUE.
_smallservd_keys() {
  compopt -o nospace
  mapfile -t COMPREPLY < <(compgen -S = -W "$_smallservd_all_keys" -- "$cur")
}

# Names between commas.
_smallservd_services() {
  local before=
  [[ $cur == *,* ]] && before=\${cur%,*},
  mapfile -t COMPREPLY < <(compgen -P "$before" -W '${serviceNames.join(' ')}' -- "\${cur##*,}")
}

_smallservd_service_ports() {
  compopt -o nospace
  mapfile -t COMPREPLY < <(compgen -S = -W '${serviceNames.join(' ')}' -- "$cur")
}

# The names in /etc/services or /etc/protocols.
_smallservd_database() {
  _smallservd_words "$(getent "$1" | awk '{ print $1 }' | sort -u)"
}

# Which argument of the command the current word is: 0 is the first. The options in $1, between spaces, take the next word.
_smallservd_place() {
  local index place=0
  for ((index = 2; index < cword; index++)); do
    if [[ \${words[index]} == -* ]]; then
      [[ " $1 " == *" \${words[index]} "* ]] && ((index++))
    else
      ((place++))
    fi
  done
  echo "$place"
}

_smallservd_all_keys='${settableKeys().join('\n')}'
`;

function programFunction({ name, options, commands }: CommandLine): string {
  const names = commands.map((command) => command.name);
  const first = [...names, 'help'];
  const flags = options.flatMap((option) => option.flags);
  // Without a command smallservd executes `run`.
  const fallback = commands.find((command) => command.name === 'run');
  return `_${name}() {
  local cur prev words cword split
  _init_completion -s -n : || return
  if ((cword == 1)) && ! $split; then
    _smallservd_words '${[...first, ...flags, ...(fallback === undefined ? [] : longFlags(fallback))].join(' ')}'
    return
  fi
  case \${words[1]} in
    help) _smallservd_words '${names.join(' ')}' ;;
${commands.map((command) => `    ${command.name}) _${functionName(name, command.name)} ;;`).join('\n')}
${fallback === undefined ? '' : `    -*) _${functionName(name, fallback.name)} ;;\n`}  esac
}

${commands.map((command) => commandFunction(name, command)).join('\n')}
complete -F _${name} ${name}
`;
}

function commandFunction(program: string, { name, parameters, options }: CommandLine): string {
  const valued = options.filter(({ value }) => value !== undefined);
  const cases = valued.map(
    (option) => `    ${option.flags.join(' | ')})\n      ${action(candidatesOfOption(option))}\n      return\n      ;;`,
  );
  const places = parameters.flatMap((parameter, place) => {
    const candidates = candidatesOfParameter(parameter);
    return candidates.kind === 'unknown' ? [] : [`    ${place}) ${action(candidates)} ;;`];
  });
  const flags = options.flatMap((option) => option.flags).join(' ');
  const ofValues = cases.length > 0 ? `  case $prev in\n${cases.join('\n')}\n  esac\n` : '';
  const ofPlaces =
    places.length > 0
      ? `  case $(_smallservd_place '${valued.flatMap((option) => option.flags).join(' ')}') in\n${places.join('\n')}\n  esac\n`
      : '';
  return `_${functionName(program, name)}() {
${ofValues}  if [[ $cur == -*${parameters.length > 0 ? '' : ' || -z $cur'} ]]; then
    _smallservd_words '${flags}'
    return
  fi
${ofPlaces}}
`;
}

function functionName(program: string, command: string): string {
  return `${program}_command_${command.replaceAll('-', '_')}`;
}

function longFlags({ options }: CommandLine): readonly string[] {
  return options.flatMap(({ flags }) => flags).filter((flag) => !/^(?:-h|--help)$/.test(flag));
}

function action(candidates: Candidates): string {
  switch (candidates.kind) {
    case 'words':
      return `_smallservd_words '${candidates.words.join(' ')}'`;
    case 'file':
      return '_filedir';
    case 'directory':
      return '_filedir -d';
    case 'host':
      return '_smallservd_hosts';
    case 'key':
      return '_smallservd_keys';
    case 'services':
      return '_smallservd_services';
    case 'service-port':
      return '_smallservd_service_ports';
    case 'port-name':
      return '_smallservd_database services';
    case 'protocol':
      return '_smallservd_database protocols';
    case 'unknown':
      return ':';
  }
}
