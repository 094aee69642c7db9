import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { childArguments } from '../child-arguments.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { standardInput } from '../config/source.ts';
import { SmallservdError } from '../../errors.ts';
import { keepDescriptors } from '../../kernel/descriptors.ts';
import { leaveKeyring } from '../../kernel/privileges.ts';

/** Take text as it came from the process. */
export interface ApartOutput {
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

/**
 * After the end of the process: when nothing more of its output has come for so long, that was all. What it leaves
 * behind may go on writing: no longer than the second.
 */
const quietMs = 1000;
const lastOutputMs = 5000;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Set in a process that `runApart` has started. */
const variable = '_SMALLSERVD_APART';

/** Whether this is a process that `runApart` has started. */
export const isApart: boolean = process.env[variable] !== undefined;
delete process.env[variable];

/**
 * Whether code that the config names could reach what is root's: files that were left open, and the terminal, where it
 * could type commands into root's shell, read what root types, and go on doing so when this program has ended.
 */
export function mustRunApart(): boolean {
  return process.geteuid?.() === 0 && !isApart;
}

/**
 * Does what the command line says in a process that has no terminal, no descriptors that were left open for this one,
 * and a session of its own. `config` is the one that it names. Resolves with its exit code. A signal that would end
 * this process ends both. Throws `CHECK_ENDED` where something else has ended it.
 */
export async function runApart(
  config: string | undefined,
  { print, printError }: ApartOutput,
  clock: Clock = systemClock,
): Promise<number> {
  keepDescriptors();
  leaveKeyring();
  const program = fileURLToPath(new URL('../../smallservd.js', import.meta.url));
  const child = spawn(process.execPath, [...childArguments, program, ...process.argv.slice(2)], {
    stdio: [inputFor(config), 'pipe', 'pipe'],
    env: { ...process.env, [variable]: '1' },
    detached: true,
  });
  if (child.stdin !== null) {
    child.stdin.on('error', () => {});
    process.stdin.pipe(child.stdin);
  }
  let pieces = 0;
  for (const [from, to, pass] of [
    [child.stdout, process.stdout, print],
    [child.stderr, process.stderr, printError],
  ] as const)
    from?.setEncoding('utf8').on('data', (text: string) => {
      pieces += 1;
      pass(text);
      // Who reads slowly makes the process wait, and fills no memory.
      if (!to.writableNeedDrain) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
  process.once('exit', () => child.kill('SIGKILL'));
  let came: NodeJS.Signals | undefined;
  const ended = new Promise<void>((resolve) => {
    for (const signal of signals)
      process.once(signal, () => {
        came ??= signal;
        child.kill('SIGKILL');
        resolve();
      });
  });
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  // What it leaves behind could hold its output open.
  const quiet = async (): Promise<void> => {
    for (let before = -1; before !== pieces || child.stdout?.isPaused() || child.stderr?.isPaused(); ) {
      before = pieces;
      await pause(quietMs, clock);
    }
  };
  await Promise.race([closed, quiet(), pause(lastOutputMs, clock), ended]);
  if (child.stdin !== null) process.stdin.destroy();
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (came !== undefined) process.kill(process.pid, came);
  if (code === null) throw new SmallservdError('CHECK_ENDED', `the check was ended by ${signal}`);
  return code;
}

async function pause(ms: number, clock: Clock): Promise<void> {
  await new Promise<void>((resolve) => void clock.after(ms, resolve));
}

/** What the process gets as standard input: nothing, unless its config is there. */
function inputFor(config: string | undefined): number | 'pipe' | 'ignore' {
  if (config === standardInput) return 'pipe';
  return config === '/dev/stdin' ? inputAgain() : 'ignore';
}

/**
 * Standard input opened anew, for a config that is there: the script that root's shell reads may be there, too, and is
 * not to be moved on in.
 */
function inputAgain(): number | 'ignore' {
  try {
    return openSync('/dev/stdin', constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return 'ignore';
  }
}
