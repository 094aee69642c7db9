import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { constants, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { childArguments, removeNodeVariables } from '../child-arguments.ts';
import { type Clock, pause, systemClock } from '../../clock/clock.ts';
import { standardInput } from '../config/source.ts';
import { Deferred } from '../../deferred.ts';
import { SmallservdError } from '../../errors.ts';
import { exitCodes } from '../../exit-codes.ts';
import { isZombie, readActivity } from '../supervisor/activity.ts';
import { takeOnlyBytesOf } from '../supervisor/channel.ts';
import { startPatienceMs } from '../supervisor/restart-policy.ts';
import { SilenceWatch } from '../supervisor/silence-watch.ts';
import { keepDescriptors } from '../../kernel/descriptors.ts';
import { leaveKeyring } from '../../kernel/privileges.ts';

/**
 * After the process has exited, its output is complete once nothing more has arrived for this long. Processes it leaves
 * behind may go on writing, for at most `maxRounds` times that.
 */
const quietMs = 1000;
const maxRounds = 5;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Set in a process started by `runApart`: its `successCode`. */
const variable = '_SMALLSERVD_APART';

const given = process.env[variable];
delete process.env[variable];

/** Whether `runApart` started this process. */
export const isApart: boolean = given !== undefined;

/**
 * The exit code that means success. `runApart` chooses it for its process: code named in the config could exit with 0
 * before its config is checked. A module has everything that its process has, so this only makes that difficult.
 */
export const successCode: number = Number(given ?? exitCodes.stopped);

/** What is wrong if code named in the config has ended the process. */
export const endedEarly: string = 'a module of the config ended the check before it was complete';

/** What a check that takes longer than `startPatienceMs` throws. */
export function lateError(): SmallservdError {
  return new SmallservdError(
    'CHECK_ENDED',
    `the services did not come up within ${startPatienceMs / 1000} s: a module or a file keeps them waiting`,
  );
}

/**
 * Whether code named in the config could reach what belongs to root: inherited files, and the terminal, where it could
 * type commands into root's shell and read what root types, even after this program has ended.
 */
export function mustRunApart(): boolean {
  return process.geteuid?.() === 0 && !isApart;
}

/**
 * Runs the command line in a process with its own session, no terminal and no inherited descriptors. `config` is the
 * config named on it. The text is printed exactly as the process wrote it. Resolves with the exit code. A signal that
 * would end this process ends both. Throws `CHECK_ENDED` if something else has ended it, or if it takes too long.
 */
export async function runApart(
  config: string | undefined,
  { print, printError }: Readonly<Record<'print' | 'printError', (text: string) => void>>,
  clock: Clock = systemClock,
): Promise<number> {
  keepDescriptors();
  leaveKeyring();
  // None of those that stand for a signal in a shell.
  const success = randomInt(193, 255);
  const env: NodeJS.ProcessEnv = { ...process.env, [variable]: String(success) };
  removeNodeVariables(env);
  const program = fileURLToPath(new URL('../../smallservd.js', import.meta.url));
  const child = spawn(process.execPath, [...childArguments, program, ...process.argv.slice(2)], {
    stdio: [inputFor(config), 'pipe', 'pipe'],
    env,
    detached: true,
  });
  for (const end of [child.stdout, child.stderr, child.stdin]) takeOnlyBytesOf(end);
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
      // A slow reader slows the process down instead of filling memory.
      if (!to.writableNeedDrain) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
  process.once('exit', () => child.kill('SIGKILL'));
  let came: NodeJS.Signals | undefined;
  const ended = new Deferred<void>();
  const exited = new Deferred<readonly [code: number | null, signal: NodeJS.Signals | null]>();
  for (const signal of signals)
    process.once(signal, () => {
      came ??= signal;
      child.kill('SIGKILL');
      ended.resolve();
      exited.resolve([null, signal]);
    });
  child.once('close', () => ended.resolve());
  child.once('exit', (code, signal) => exited.resolve([code, signal]));
  child.once('error', (error) => exited.reject(error));
  const hasSlowReader = (): boolean => child.stdout?.isPaused() === true || child.stderr?.isPaused() === true;
  // Twice in a row: otherwise this process may be about to learn of it.
  let zombieLooks = 0;
  let isLate = false;
  const watch = new SilenceWatch({
    clock,
    patienceMs: startPatienceMs,
    activity: () => (child.pid === undefined ? undefined : readActivity(child.pid)),
    hung() {
      isLate = true;
      child.kill('SIGKILL');
    },
  });
  const cancel = clock.every(quietMs, () => {
    // Whoever types the config, or reads the output in a pager, takes their time.
    if (hasSlowReader() || (child.stdin !== null && !process.stdin.readableEnded)) watch.heard();
    zombieLooks = child.pid !== undefined && isZombie(child.pid) ? zombieLooks + 1 : 0;
    if (zombieLooks === 2) exited.resolve([null, null]);
  });
  const [code, signal] = await exited.promise.finally(() => {
    cancel();
    watch.cancel();
  });
  // Processes it leaves behind could hold its output open, and go on writing.
  const quiet = async (): Promise<void> => {
    for (let rounds = 0, before = -1; rounds < maxRounds && before !== pieces; ) {
      before = pieces;
      await pause(clock, quietMs);
      // A slow reader gets all of it.
      if (hasSlowReader()) before = -1;
      else rounds += 1;
    }
  };
  await Promise.race([quiet(), ended.promise]);
  if (child.stdin !== null) process.stdin.destroy();
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (came !== undefined) process.kill(process.pid, came);
  if (isLate && code === null) throw lateError();
  if (code === success) return exitCodes.stopped;
  if (code === exitCodes.stopped) throw new SmallservdError('CHECK_ENDED', endedEarly);
  if (code === null)
    throw new SmallservdError(
      'CHECK_ENDED',
      signal === null ? 'another process traces the check and hides its result' : `the check was killed by ${signal}`,
    );
  return code;
}

/** Standard input of the process: empty unless the config comes from there. */
function inputFor(config: string | undefined): number | 'pipe' | 'ignore' {
  if (config === standardInput) return 'pipe';
  if (config !== '/dev/stdin') return 'ignore';
  try {
    // Reopened: root's shell may be reading its script from there, and its file offset must not move.
    return openSync('/dev/stdin', constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return 'ignore';
  }
}
