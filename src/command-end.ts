import { CommanderError } from 'commander';
import { SmallservdError } from './errors.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

/** Puts a message of commander into the words of our own messages. */
export function usageMessage(text: string): string {
  return text
    .trimEnd()
    .replace(/^error: /, '')
    .replace(/(?<!unknown )option '(?:-\w, )?(-[\w-]+)[^']*'/g, '$1')
    .replace(/^(\S+) argument '(.*)' is invalid\./s, '"$2" is not valid for $1:')
    .replace(/^(\S+) argument missing$/, '$1 needs a value')
    .replace(/^command-argument value '(.*)' is invalid for argument '(.*)'\./s, '"$1" is not a $2:')
    .replace(/: Allowed choices are (.*)\.$/s, ': expected one of $1')
    .replace(/^too many arguments for '(.*)'\. Expected 0 arguments .*/, '$1 takes no arguments')
    .replace(/^(too many arguments for '.*')\. Expected (\d+) arguments? but got (\d+)\.$/, '$1: expected $2, got $3')
    .replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?');
}

/** Reports with `complain` what ended a command and returns its exit code. */
export function endOf(error: unknown, complain: (message: string) => void): ExitCode {
  // Commander has already printed its message. Help and version exit with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage;
  if (error instanceof SmallservdError) {
    complain(error.message);
    return error.exitCode;
  }
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.failed;
}
