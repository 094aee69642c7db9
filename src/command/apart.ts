import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { exitCodes } from '../exit-codes.ts';
import { hasTerminal } from '../kernel/terminal.ts';
import { childArguments } from '../supervisor/child-arguments.ts';

/** Take text as it came from the process. */
export interface ApartOutput {
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

/** For what the process has printed before its end to be read. */
const lastOutputMs = 1000;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Whether code that the config names could reach the terminal of root's: it could type commands into root's shell, read
 * what root types, and go on doing so when this program has ended.
 */
export function mustRunApart(): boolean {
  return process.geteuid?.() === 0 && (hasTerminal() || [0, 1, 2].some((descriptor) => isatty(descriptor)));
}

/**
 * Does what the command line says in a process that has no terminal, and a session of its own. Resolves with its exit
 * code. A signal that would end this process ends both.
 */
export async function runApart({ print, printError }: ApartOutput): Promise<number> {
  const program = fileURLToPath(new URL('../smallservd.js', import.meta.url));
  const child = spawn(process.execPath, [...childArguments, program, ...process.argv.slice(2)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdout.setEncoding('utf8').on('data', print);
  child.stderr.setEncoding('utf8').on('data', printError);
  let came: NodeJS.Signals | undefined;
  for (const signal of signals)
    process.once(signal, () => {
      came ??= signal;
      child.kill('SIGKILL');
    });
  const closed = once(child, 'close');
  const [code] = (await once(child, 'exit')) as [number | null];
  // What it leaves behind could hold its output open.
  await Promise.race([closed, pause(lastOutputMs)]);
  for (const output of [child.stdout, child.stderr]) output.destroy();
  if (came !== undefined) process.kill(process.pid, came);
  return code ?? exitCodes.failed;
}
