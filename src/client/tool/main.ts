/** The program smallserv: what the command line says is done. */
import { CommanderError } from 'commander';
import { SmallservdError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { clientProgram } from './program.ts';
import { ProcessTerminal } from './terminal.ts';
import type { Run } from './tool.ts';

const terminal = new ProcessTerminal(process);
let exitCode: ExitCode = exitCodes.stopped;
const run: Run =
  (action) =>
  async (...args) => {
    exitCode = (await action(...args)) ?? exitCodes.stopped;
  };

try {
  await clientProgram(terminal, run).parseAsync();
} catch (error) {
  exitCode = report(error);
}
terminal.showProgress(undefined);
process.exitCode = exitCode;

/** Says on standard error what went wrong, and returns the exit code for it. */
function report(error: unknown): ExitCode {
  // Commander has already written its message; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage;
  if (error instanceof SmallservdError) {
    terminal.complain(error.message);
    return error.exitCode;
  }
  terminal.complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.failed;
}
