import { exitCodes } from './exit-codes.ts';
import { describeSystemError } from './system-error-text.ts';

/** Ends the process if standard output cannot be written: silently if its reader has gone, otherwise with an error. */
export function endWithOutput(
  { stdout, exit }: Pick<NodeJS.Process, 'exit' | 'stdout'>,
  complain: (message: string) => void,
): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return exit();
    complain(`cannot write the output: ${describeSystemError(error, 'output')}`);
    exit(exitCodes.failed);
  });
}
