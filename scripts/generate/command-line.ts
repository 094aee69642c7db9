import type { Argument, Command, Option } from 'commander';

/** What a program can be called with, for its manual and for the completion of shells. */
export interface CommandLine {
  readonly name: string;
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly options: readonly OptionLine[];
  readonly commands: readonly CommandLine[];
}

/** An argument by its place. */
export interface Parameter {
  readonly name: string;
  readonly summary: string;
  readonly isRequired: boolean;
  /** The only values that it can have; undefined: any. */
  readonly choices: readonly string[] | undefined;
}

export interface OptionLine {
  /** The short one first, where there are two: `-c`, `--config`. */
  readonly flags: readonly string[];
  /** What stands for its value in the help; undefined: it takes none. */
  readonly value: string | undefined;
  readonly summary: string;
  /** The only values that it can have; undefined: any. */
  readonly choices: readonly string[] | undefined;
  /** As the help names it; undefined: it has none, or the summary says it. */
  readonly fallback: string | undefined;
}

/** Describes a command of commander's with all that is below it. */
export function commandLineOf(command: Command): CommandLine {
  const help = command.createHelp();
  // Commander adds a command `help` to those that have commands.
  const commands = help.visibleCommands(command).filter((each) => each.name() !== 'help');
  return {
    name: command.name(),
    summary: command.description(),
    parameters: command.registeredArguments.map(describeParameter),
    options: help.visibleOptions(command).map(describeOption),
    commands: commands.map(commandLineOf),
  };
}

function describeParameter(argument: Argument): Parameter {
  const { description, required, argChoices } = argument;
  return { name: argument.name(), summary: description, isRequired: required, choices: argChoices };
}

function describeOption(option: Option): OptionLine {
  const { short, long, flags, description, argChoices } = option;
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    value: /<(.+)>/.exec(flags)?.[1],
    summary: description,
    choices: argChoices,
    fallback: fallbackOf(option),
  };
}

/** As commander's own help tells it: texts and numbers as they are, the rest by its description. */
function fallbackOf({ defaultValue, defaultValueDescription, required }: Option): string | undefined {
  const value: unknown = defaultValue;
  if (!required) return undefined;
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
