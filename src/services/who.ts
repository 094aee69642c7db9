import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ServiceContext } from '../service.ts';

const periodMs = 5000;

/** The login names of logged-in users, as listed by `who`. */
export async function listUsers(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)('who', [], {
    // Processes of the same user can read this, so pass on nothing else from the daemon's environment.
    env: { PATH: process.env['PATH'], TZ: process.env['TZ'], LC_ALL: 'C' },
    timeout: 4000,
    killSignal: 'SIGKILL',
    maxBuffer: 256 * 1024,
  });
  return loginNames(stdout);
}

/** The distinct login names in the output of `who`, sorted. Names outside printable ASCII are dropped. */
export function loginNames(output: string): readonly string[] {
  const names = output.split('\n').map((line) => line.split(' ', 1)[0] ?? '');
  return [...new Set(names)].filter((name) => /^[!-~]+$/.test(name)).toSorted();
}

/**
 * Lists the users with `list` in the background, every five seconds, and calls `take` with their names. If that fails,
 * it is logged once, and nothing is taken.
 */
export function watchUsers(
  context: ServiceContext,
  list: () => Promise<readonly string[]>,
  take: (names: readonly string[]) => void,
): void {
  let failing = false;
  context.every(periodMs, async () => {
    try {
      take(await list());
      failing = false;
    } catch (error) {
      if (!failing) context.log.warn({ error: String(error) }, 'cannot run who(1), keeping the last user list');
      failing = true;
    }
  });
}
