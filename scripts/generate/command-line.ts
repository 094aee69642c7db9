import type { Argument, Command, Option } from 'commander';

/** The command line of a program, for its manual and shell completion. */
export interface CommandLine {
  readonly name: string;
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly options: readonly OptionLine[];
  readonly commands: readonly CommandLine[];
}

/** A positional argument. */
export interface Parameter {
  readonly name: string;
  readonly summary: string;
  readonly isRequired: boolean;
  /** Whether it may be given several times. */
  readonly isVariadic: boolean;
  /** The only allowed values; undefined: any. */
  readonly choices: readonly string[] | undefined;
}

export interface OptionLine {
  /** The short flag first, if there are two: `-c`, `--config`. */
  readonly flags: readonly string[];
  /** Placeholder for its value in the help; undefined: it takes no value. */
  readonly value: string | undefined;
  /** The same, if the value can be left out. */
  readonly optionalValue: string | undefined;
  readonly summary: string;
  /** The only allowed values; undefined: any. */
  readonly choices: readonly string[] | undefined;
  /** The default as shown in the help; undefined: it has none, or the summary states it. */
  readonly fallback: string | undefined;
}

/** Describes a commander command and its subcommands. */
export function commandLineOf(command: Command): CommandLine {
  const help = command.createHelp();
  // Commander adds a `help` command to those with subcommands.
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
  const { description, required, variadic, argChoices } = argument;
  const name = argument.name();
  return { name, summary: description, isRequired: required, isVariadic: variadic, choices: argChoices };
}

function describeOption(option: Option): OptionLine {
  const { short, long, flags, description, argChoices } = option;
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    value: /<(.+)>/.exec(flags)?.[1],
    optionalValue: /\[(.+)\]/.exec(flags)?.[1],
    summary: description,
    choices: argChoices,
    fallback: fallbackOf(option),
  };
}

/** Formats defaults as commander's own help does: text and numbers literally, others by description. */
function fallbackOf({ defaultValue, defaultValueDescription, required }: Option): string | undefined {
  const value: unknown = defaultValue;
  if (!required) return undefined;
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
