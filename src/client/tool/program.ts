import { Command } from 'commander';
import { usageMessage } from '../../command-end.ts';
import { version } from '../../version.ts';
import { tools } from './index.ts';
import type { Terminal } from './terminal.ts';
import type { Run } from './tool.ts';

const codes = `
HOST is a name, an IPv4 address or an IPv6 address (in brackets if a port follows); a port or service name follows a colon.
Exit codes: 0 ok, 1 failed (a wrong answer or none, or an invalid address), 2 cannot resolve or connect, 64 wrong command line, 77 not permitted, 130 interrupted.`;

/** The command line of smallserv, from which the manual and shell completion are also generated. */
export function clientProgram(terminal: Terminal, run: Run): Command {
  const program = new Command('smallserv')
    .description('Clients for the classic IETF services, and tools to test networks and learn protocols.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print the help text')
    .usage('[options] [tool]')
    .commandsGroup('Tools:')
    .helpCommand('help [tool]', 'print the help of a tool')
    .addHelpText('after', codes)
    .showHelpAfterError('Try: smallserv --help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.print(text),
      outputError: (text) => terminal.complain(usageMessage(text).replace(/^unknown command/, 'unknown tool')),
    })
    .configureHelp({ subcommandTerm: (command) => command.name() });

  for (const tool of tools) {
    const command = program
      .command(tool.name)
      .description(tool.summary)
      .helpOption('-h, --help', 'print the help text');
    const width = Math.max(...tool.examples.map(([line]) => line.length));
    const examples = tool.examples.map(([line, purpose]) => `  smallserv ${line.padEnd(width)}  ${purpose}\n`).join('');
    command.addHelpText('after', `\nExamples:\n${examples}`).showHelpAfterError(false);
    tool.define(command, terminal, run);
  }
  return program;
}
