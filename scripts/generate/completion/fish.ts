import type { CommandLine, OptionLine, Parameter } from '../command-line.ts';
import {
  type Candidates,
  candidatesOfOption,
  candidatesOfParameter,
  serviceNames,
  settableKeys,
} from './candidates.ts';

/** Generates fish completion of one program: https://fishshell.com/docs/current/completions.html */
export function fishCompletion({ name, options, commands }: CommandLine): string {
  // Without a command smallservd executes `run`.
  const fallback = commands.some((command) => command.name === 'run') ? 'run' : '';
  const isFirst = `-n __${name}_at_command`;
  const lines = [
    ...commands.map((command) => `${isFirst} -a ${command.name} -d ${quoted(command.summary)}`),
    `${isFirst} -a help -d 'print the help of a command'`,
    ...options.map((option) => `-n '__${name}_before_command' ${optionSpec(name, option)}`),
    `-n '__${name}_at help 0' -a ${quoted(commands.map((command) => command.name).join(' '))}`,
    ...commands.flatMap((command) => commandLines(name, command)),
  ];
  return `# fish completion of ${name}. Made from the code: npm run docs.

${helpers(name, fallback)}
complete -c ${name} -f
${lines.map((line) => `complete -c ${name} ${line}\n`).join('')}`;
}

function helpers(name: string, fallback: string): string {
  return `function __${name}_at_command
    test (count (commandline -opc)) -eq 1
end

function __${name}_before_command
    set -l words (commandline -opc)
    test (count $words) -eq 1; or string match -q -- '-*' $words[2]
end

function __${name}_using
    set -l words (commandline -opc)
    set -l command ${quoted(fallback)}
    if not __${name}_before_command
        set command $words[2]
    end
    test "$command" = $argv[1]
end

# Whether the current word is an argument of the command $argv[1]: number $argv[2] from 0, or any if that is *. The options
# after that take the next word.
function __${name}_at
    __${name}_using $argv[1]; or return
    set -l words (commandline -opc)
    set -l place 0
    set -l is_value 0
    for index in (seq 3 (count $words))
        if test $is_value = 1
            set is_value 0
        else if contains -- $words[$index] $argv[3..-1]
            set is_value 1
        else if not string match -q -- '-*' $words[$index]
            set place (math $place + 1)
        end
    end
    test $argv[2] = '*'; or test $place = $argv[2]
end

# fish leaves out this machine.
function __${name}_hosts
    echo localhost
    __fish_print_hostnames
end

# The keys of a config, for --set KEY=VALUE.
function __${name}_keys
    printf '%s=\\n' ${settableKeys().join(' ')}
end

function __${name}_services
    printf '%s\\n' ${serviceNames.join(' ')}
end

function __${name}_service_ports
    printf '%s=\\n' ${serviceNames.join(' ')}
end

# The names in /etc/services or /etc/protocols.
function __${name}_database
    getent $argv[1] | string replace -r ' .*' '' | sort -u
end
`;
}

function commandLines(program: string, { name, options, parameters }: CommandLine): readonly string[] {
  const valued = options.filter(({ value }) => value !== undefined).flatMap(({ flags }) => flags);
  return [
    ...options.map((option) => `-n '__${program}_using ${name}' ${optionSpec(program, option)}`),
    ...parameters.flatMap((parameter, place) => parameterSpec(program, name, parameter, place, valued)),
  ];
}

function optionSpec(program: string, option: OptionLine): string {
  const flags = option.flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const value = option.value === undefined ? '' : ` -r ${action(program, candidatesOfOption(option))}`;
  return `${flags.join(' ')}${value} -d ${quoted(option.summary)}`;
}

function parameterSpec(
  program: string,
  command: string,
  parameter: Parameter,
  place: number,
  valued: readonly string[],
): readonly string[] {
  const candidates = candidatesOfParameter(parameter);
  if (candidates.kind === 'unknown') return [];
  const position = parameter.isVariadic ? '\\*' : String(place);
  const condition = ['__', program, '_at ', [command, position, ...valued].join(' ')].join('');
  return [`-n ${quoted(condition)} ${action(program, candidates)} -d ${quoted(parameter.name)}`];
}

function action(program: string, candidates: Candidates): string {
  switch (candidates.kind) {
    case 'words':
      return `-f -a ${quoted(candidates.words.join(' '))}`;
    case 'file':
      return '-F';
    case 'directory':
      return "-f -a '(__fish_complete_directories)'";
    case 'host':
      return `-f -a '(__${program}_hosts)'`;
    case 'key':
      return `-f -a '(__${program}_keys)'`;
    case 'services':
      return `-f -a '(__fish_complete_list , __${program}_services)'`;
    case 'service-port':
      return `-f -a '(__${program}_service_ports)'`;
    case 'port-name':
      return `-f -a '(__${program}_database services)'`;
    case 'protocol':
      return `-f -a '(__${program}_database protocols)'`;
    case 'unknown':
      return '-f';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}
