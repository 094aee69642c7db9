import { setTimeout as pause } from 'node:timers/promises';
import type { AdminClient } from '../admin/client.ts';
import type { Snapshot } from '../admin/snapshot.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { type ErrorCode, errorCodes, SmallservdError } from '../../errors.ts';
import { escapeToOneLine } from '../../terminal-text.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { openProcess, type ProcessHandle } from '../../kernel/process-handle.ts';
import { type AdminOptions, adminClient } from './admin.ts';
import { type ProcFiles, systemProcFiles, whyNotListener } from './listener-owner.ts';

/** How often the daemon is polled, and how long a reload may take. */
const pollMs = 50;
const patienceMs = 120_000;

/** `smallservd reload`: makes the daemon reload its config, waits, and resolves with an exit code and a text. */
export async function reload(options: AdminOptions): Promise<{ readonly code: ExitCode; readonly text: string }> {
  const client = await adminClient(options);
  const before = await client.snapshot();
  signalDaemon(before.pid, client);
  const { config, reload: result } = await resultOf(client, before);
  const { last } = result;
  if (last?.succeeded === true)
    return {
      code: exitCodes.stopped,
      text: `${escapeToOneLine(`reloaded ${config.name} (${config.hash}) in ${last.tookMs} ms`)}\n`,
    };
  return {
    code: exitCodeOf(last?.code),
    text: ['reload failed, keeping the running config:', ...(last?.errors ?? [])].map(escapeToOneLine).join('\n'),
  };
}

/** That of a start which fails like that. The endpoint may be anybody's, or of another version. */
function exitCodeOf(code: string | undefined): ExitCode {
  return code !== undefined && Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode] : exitCodes.badConfig;
}

/** The system, as far as signaling a daemon needs it. */
interface Processes {
  readonly open: (pid: number) => ProcessHandle | undefined;
  readonly proc: ProcFiles;
}

/** The endpoint reports a pid, and HUP ends most programs: verify that it is the smallservd listening there. */
export function signalDaemon(
  pid: number,
  { name, connectedTo }: Pick<AdminClient, 'name' | 'connectedTo'>,
  { open, proc }: Processes = { open: openProcess, proc: systemProcFiles },
): void {
  // Before the checks: if the process ends meanwhile, another one that gets its pid must not be signaled.
  const target = open(pid);
  try {
    const why = connectedTo === undefined ? 'no answer' : whyNotListener(pid, connectedTo, proc);
    // For ExecReload= the service manager names the process; a sandbox may hide all others from us. systemd.exec(5)
    if (why !== undefined && process.env['MAINPID'] !== String(pid))
      throw new SmallservdError(
        'RELOAD_NOT_ASKED',
        `${name} says that it is process ${pid}, which was not signaled: ${why}. reload signals only a smallservd on this machine that listens at that address. If it runs on another machine or in a container, run reload there`,
      );
    hangUp(pid, target);
  } finally {
    target?.close();
  }
}

function hangUp(pid: number, target: ProcessHandle | undefined): void {
  try {
    if (target === undefined) throw new Error('it had ended before');
    target.signal('SIGHUP');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'EPERM' ? 'not permitted' : 'no such process';
    throw new SmallservdError('RELOAD_NOT_ASKED', `cannot send HUP to process ${pid}: ${reason}`, { cause });
  }
}

/** Resolves with the first snapshot after the reload. Throws `RELOAD_NOT_ASKED` if there is none in time. */
export async function resultOf(
  client: Pick<AdminClient, 'snapshot'>,
  before: Snapshot,
  clock: Pick<Clock, 'monotonicMs'> = systemClock,
): Promise<Snapshot> {
  // An answer may take long too.
  for (const endMs = clock.monotonicMs() + patienceMs; clock.monotonicMs() < endMs; ) {
    await pause(pollMs);
    const now = await client.snapshot();
    if (now.pid !== before.pid) throw new SmallservdError('RELOAD_NOT_ASKED', 'the daemon restarted during the reload');
    if (now.reload.attempts > before.reload.attempts && !now.reload.isRunning) return now;
  }
  throw new SmallservdError('RELOAD_NOT_ASKED', `no result after ${patienceMs / 1000} s: see the log`);
}
