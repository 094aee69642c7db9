import { closeSync, constants, openSync } from 'node:fs';
import { libc } from './libc.ts';

// asm-generic/ioctls.h, identical on powerpc.
const TIOCNOTTY = 0x5422;

/**
 * Permanently gives up the controlling terminal, also for child processes: none of them can open /dev/tty or type into
 * it. Signals from its keys still arrive, unless this process leads the session. Does nothing without a terminal. See
 * ioctl_tty(2).
 */
export function leaveTerminal(): void {
  const terminal = openTerminal();
  if (terminal === undefined) return;
  libc?.ioctl(terminal, TIOCNOTTY, 0);
  closeSync(terminal);
}

function openTerminal(): number | undefined {
  try {
    return openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}
