import type { Command } from 'commander';

/**
 * Adds the command that prints the help of another, or that of the program. Commander's own prints the latter for an
 * unknown name, too. `refuse` reports that name, and throws.
 */
export function addHelp(program: Command, usage: string, summary: string, refuse: (name: string) => never): void {
  program
    .helpCommand(false)
    .command(usage)
    .description(summary)
    .action((name: string | undefined) => {
      if (name === undefined) program.help();
      const command = findCommand(program, name);
      return command === undefined ? refuse(name) : command.help();
    });
}

/**
 * Returns what to say about options before the name of a command, which commander takes for options of the program.
 * Undefined if none of the words is such a name. `kind` is what the program calls its commands.
 */
export function misplacedCommand(program: Command, words: readonly string[], kind: string): string | undefined {
  if (program.args[0]?.startsWith('-') !== true) return undefined;
  const command = words.map((word) => findCommand(program, word)).find((each) => each !== undefined);
  if (command === undefined) return undefined;
  const usage = `${program.name()} ${command.name()}${command.options.length > 0 ? ' [options]' : ''}`;
  return `put the ${kind} before its options: ${usage}`;
}

function findCommand(program: Command, name: string): Command | undefined {
  return program.commands.find((each) => each.name() === name);
}
