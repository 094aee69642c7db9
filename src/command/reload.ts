import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { AdminClient } from '../admin/client.ts';
import type { Snapshot } from '../admin/snapshot.ts';
import { SmallservdError } from '../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { type AdminOptions, adminClient } from './admin.ts';

/** How often the daemon is asked, and how long a reload may take. */
const pollMs = 50;
const patienceMs = 120_000;

/** `smallservd reload`: has the running daemon read its config anew, and waits for the result. Resolves with the exit code and what to say. */
export async function reload(options: AdminOptions): Promise<{ readonly code: ExitCode; readonly text: string }> {
  const client = await adminClient(options);
  const before = await client.snapshot();
  signal(before.pid);
  const { config, reload: result } = await resultOf(client, before);
  const { last } = result;
  if (last?.succeeded === true)
    return { code: exitCodes.stopped, text: `${config.name} is in use (${config.hash}), after ${last.tookMs} ms\n` };
  return { code: exitCodes.badConfig, text: ['nothing has changed:', ...(last?.errors ?? [])].join('\n') };
}

/** Whoever answers names a process, and HUP ends most programs: it must be smallservd, as far as we can see. */
function signal(pid: number): void {
  if (!Number.isInteger(pid) || pid < 1 || !isOurs(pid))
    throw new SmallservdError(
      'RELOAD_NOT_ASKED',
      `process ${pid} here is not smallservd: a daemon on another machine, or in a container, is told to reload there`,
    );
  try {
    process.kill(pid, 'SIGHUP');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'EPERM' ? 'not permitted' : 'it has gone';
    throw new SmallservdError('RELOAD_NOT_ASKED', `process ${pid} cannot be told to reload: ${reason}`, { cause });
  }
}

/** False only where the system shows another program: it may show us nothing of other users' processes, or have no /proc. */
function isOurs(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('smallservd');
  } catch {
    return true;
  }
}

async function resultOf(client: AdminClient, before: Snapshot): Promise<Snapshot> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += pollMs) {
    await pause(pollMs);
    const now = await client.snapshot();
    if (now.pid !== before.pid)
      throw new SmallservdError('RELOAD_NOT_ASKED', 'the daemon has been started anew meanwhile');
    if (now.reload.attempts > before.reload.attempts && !now.reload.isRunning) return now;
  }
  throw new SmallservdError('RELOAD_NOT_ASKED', `no result after ${patienceMs / 1000} s: read the log`);
}
