import { setTimeout as pause } from 'node:timers/promises';
import { formatStatus } from './status-text.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { type AdminOptions, adminClient } from './admin.ts';

export interface StatusOptions extends AdminOptions {
  readonly json?: true;
  readonly watch?: true;
}

/** How often `--watch` polls. */
const watchPeriodMs = 1000;
/** Terminal sequence to start a new screen. */
const home = '\u001b[H\u001b[2J';

/**
 * `smallservd status`: resolves with 0 if the daemon is ready, else with 1. `order` is written to a terminal only.
 * Rejects with `ADMIN_UNREACHABLE`.
 */
export async function status(options: StatusOptions, print: (text: string, order: string) => void): Promise<ExitCode> {
  const client = await adminClient(options);
  for (;;) {
    const snapshot = await client.snapshot();
    const text = options.json ? `${JSON.stringify(snapshot, null, 2)}\n` : formatStatus(snapshot, Date.now());
    print(text, options.watch ? home : '');
    if (!options.watch) return snapshot.notReady.length === 0 ? exitCodes.stopped : exitCodes.failed;
    await pause(watchPeriodMs);
  }
}
