import { CommanderError } from 'commander';
import { SmallservdError } from './errors.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

/** Has `complain` say what has ended a command, and returns the exit code for it. */
export function endOf(error: unknown, complain: (message: string) => void): ExitCode {
  // Commander has already written its message; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage;
  if (error instanceof SmallservdError) {
    complain(error.message);
    return error.exitCode;
  }
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.failed;
}
