import type { CommandLine, OptionLine, Parameter } from '../command-line.ts';
import {
  type Candidates,
  candidatesOfOption,
  candidatesOfParameter,
  serviceNames,
  settableKeys,
} from './candidates.ts';

/** Generates zsh completion: https://zsh.sourceforge.io/Doc/Release/Completion-System.html */
export function zshCompletion(programs: readonly CommandLine[]): string {
  const names = programs.map(({ name }) => name);
  return `#compdef ${names.join(' ')}
# zsh completion of ${names.join(' and ')}. Made from the code: npm run docs.

${helpers}
${programs.map(programFunction).join('\n')}
case $service in
${names.map((name) => `  ${name}) _${name}_program "$@" ;;`).join('\n')}
esac
`;
}

const helpers = `# The keys of a config, for --set KEY=VALUE.
_smallservd_keys() {
  local -a keys=(
${settableKeys()
  .map((key) => `    ${key}`)
  .join('\n')}
  )
  compadd "$@" -S = -q -a keys
}

# Names between commas.
_smallservd_services() {
  _sequence compadd "$@" - ${serviceNames.join(' ')}
}

_smallservd_service_ports() {
  compadd "$@" -S = -q - ${serviceNames.join(' ')}
}

# The names in /etc/services or /etc/protocols, which is the last argument; _arguments puts options of compadd before it.
_smallservd_database() {
  local -aU names=(\${\${(f)"$(getent $argv[-1])"}%% *})
  compadd "\${@[1,-2]}" -a names
}
`;

function programFunction({ name, options, commands }: CommandLine): string {
  // Without a command smallservd executes `run`.
  const fallback = commands.find((command) => command.name === 'run');
  const before = [...options, ...(fallback?.options.filter((option) => !option.flags.includes('--help')) ?? [])];
  return `_${name}_program() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a commands=(
${commands.map((command) => `    ${quoted(`${command.name.replaceAll(':', '\\:')}:${command.summary}`)}`).join('\n')}
    'help:print the help of a command'
  )
  _arguments -C -S \\
${before.map((option) => `    ${optionSpec(option)} \\\n`).join('')}    '1: :->command' \\
    '*:: :->arguments'
  case $state in
    command) _describe command commands ;;
    arguments)
      curcontext=\${curcontext%:*:*}:${name}-$line[1]:
      case $line[1] in
        help) (( CURRENT == 2 )) && _describe command commands ;;
${commands.map((command) => `        ${command.name}) _${functionName(name, command.name)} ;;`).join('\n')}
      esac
      ;;
  esac
}

${commands.map((command) => commandFunction(name, command)).join('\n')}`;
}

function commandFunction(program: string, { name, options, parameters }: CommandLine): string {
  const specs = [...options.map(optionSpec), ...parameters.map(parameterSpec)];
  return `_${functionName(program, name)}() {
  _arguments -s -S \\
${specs.map((spec) => `    ${spec}`).join(' \\\n')}
}
`;
}

function functionName(program: string, command: string): string {
  return `${program}_command_${command.replaceAll('-', '_')}`;
}

/** `'(-c --config)'{-c+,--config=}'[what it does]:file:_files'`: the value is in the same word or is the next. */
function optionSpec(option: OptionLine): string {
  const { flags, summary, value } = option;
  const what = summary.replaceAll(/[[\]\\]/g, '\\$&');
  const spec = quoted(`[${what}]${value === undefined ? '' : valueSpec(value, candidatesOfOption(option))}`);
  const joint = (flag: string): string => (value === undefined ? '' : flag.startsWith('--') ? '=' : '+');
  const words = flags.map((flag) => `${flag}${joint(flag)}`);
  const isRepeated = value === 'key=value' || value === 'service=number';
  if (words.length > 1) return `'(${flags.join(' ')})'{${words.join()}}${spec}`;
  return `${isRepeated ? "'*'" : ''}${words.join()}${spec}`;
}

function parameterSpec(parameter: Parameter, place: number): string {
  const { name, isRequired, isVariadic } = parameter;
  const position = isVariadic ? '*' : `${place + 1}${isRequired ? '' : ':'}`;
  return quoted(`${position}${valueSpec(name, candidatesOfParameter(parameter))}`);
}

function valueSpec(name: string, candidates: Candidates): string {
  return `:${name.replaceAll(':', '\\:')}:${action(candidates)}`;
}

function action(candidates: Candidates): string {
  switch (candidates.kind) {
    case 'words':
      return `(${candidates.words.join(' ')})`;
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'host':
      return '_hosts';
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
      return ' ';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
