import { Command, Option } from 'commander';
import { type ColorChoice, colorChoices } from '../../color.ts';
import { usageMessage } from '../../command-end.ts';
import { addHelp, misplacedCommand } from '../../command-names.ts';
import { suggest } from '../../suggestion.ts';
import { wrap } from '../../terminal-text.ts';
import { version } from '../../version.ts';
import type { Terminal } from './terminal.ts';
import { noteText, type Run, type Tool } from './tool.ts';

const notes = `
HOST is a name, an IPv4 address or an IPv6 address. PORT is a number or a service name. Put an IPv6 address in brackets if a port follows, as in [2001:db8::7]:1201.
Exit codes: 0 ok, 1 failed (a wrong answer or none, or an invalid address or mask), 2 cannot resolve or connect, 64 wrong command line, 77 not permitted, 130 interrupted.`;

/** The command line of smallserv with these tools, from which the manual and shell completion are also generated. */
export function clientProgram(tools: readonly Tool[], terminal: Terminal, run: Run): Command {
  const program = new Command('smallserv')
    .description('Clients for the classic IETF services, and tools to test networks and learn protocols.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print the help text')
    .usage('[tool] [options]')
    .commandsGroup('Tools:')
    .addHelpText('after', noteText(notes, terminal))
    .showHelpAfterError('Try: smallserv --help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.print(text),
      getOutHelpWidth: () => terminal.columns,
      outputError: (text) => terminal.complain(misplaced(text) ?? ownMessage(text)),
    })
    .configureHelp({ subcommandTerm: (command) => command.name(), minWidthToWrap: 20 });
  const misplaced = (text: string): string | undefined =>
    text.includes('unknown option') ? misplacedCommand(program, program.args, 'tool') : undefined;

  for (const tool of tools) {
    const command = program
      .command(tool.name)
      .description(tool.summary)
      .helpOption('-h, --help', 'print the help text');
    const examples = formatExamples(tool.examples, terminal.columns);
    command.addHelpText('after', `\nExamples:\n${examples.trimEnd()}`).showHelpAfterError(false);
    tool.define(command, terminal, run);
    if (tool.hasColors === true) addColor(command, terminal);
  }
  addHelp(program, 'help [tool]', 'print the help of a tool', (name) => {
    const names = tools.map((tool) => tool.name);
    return program.error(`unknown tool '${name}'${suggest(name, names)}`);
  });
  return program;
}

function addColor(command: Command, terminal: Terminal): void {
  command
    .addOption(
      new Option('--color <when>', 'color the output; auto follows the terminal, NO_COLOR and FORCE_COLOR')
        .choices(colorChoices)
        .default('auto'),
    )
    .hook('preAction', () => terminal.chooseColor(command.opts<{ readonly color: ColorChoice }>().color));
}

/** A line each if all fit, otherwise with the purpose below. What is still too long goes on after a backslash. */
function formatExamples(examples: Tool['examples'], columns: number): string {
  const lines = examples.map(([line]) => `smallserv ${line}`);
  const width = Math.max(...lines.map(({ length }) => length));
  const rows = examples.map(([, purpose], index) => `  ${lines[index]?.padEnd(width)}  ${purpose}\n`);
  if (rows.every(({ length }) => length <= columns + 1)) return rows.join('');
  const command = (line = ''): string => wrap(line, columns - 2, '  ').replaceAll('\n  ', ' \\\n    ');
  return examples
    .map(([, purpose], index) => `${command(lines[index])}\n${wrap(purpose, columns, '      ')}\n`)
    .join('');
}

/** Puts a message of commander into our words. */
function ownMessage(text: string): string {
  return usageMessage(text).replace(/^unknown command/, 'unknown tool');
}
