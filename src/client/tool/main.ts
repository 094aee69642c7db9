/** Entry point of smallserv: runs the command line. */
import { endOf } from '../../command-end.ts';
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
  exitCode = endOf(error, (message) => terminal.complain(message));
}
terminal.showProgress(undefined);
process.exitCode = exitCode;
