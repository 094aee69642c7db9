import { CommanderError } from 'commander';
import { SmallservdError } from './errors.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

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
