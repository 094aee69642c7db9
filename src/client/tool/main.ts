/** Entry point of smallserv: runs the command line. */
import { Command } from 'commander';
import { endOf } from '../../command-end.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { clientProgram } from './program.ts';
import { shippedPortHint } from './shipped-port.ts';
import { ProcessTerminal } from './terminal.ts';
import type { Run } from './tool.ts';

const terminal = new ProcessTerminal(process);
let exitCode: ExitCode = exitCodes.stopped;
const run: Run =
  (action) =>
  async (...args) => {
    try {
      exitCode = (await action(...args)) ?? exitCodes.stopped;
    } catch (error) {
      exitCode = endOf(error, complain);
      const command: unknown = args.at(-1);
      const hint = command instanceof Command ? shippedPortHint(command.name(), args[0], error) : undefined;
      if (hint !== undefined) complain(hint);
    }
  };

try {
  await clientProgram(terminal, run).parseAsync();
} catch (error) {
  exitCode = endOf(error, complain);
}
terminal.showProgress(undefined);
process.exitCode = exitCode;

function complain(message: string): void {
  terminal.complain(message);
}
