import { closeSync, constants, openSync } from 'node:fs';
import { libc } from './libc.ts';

// asm-generic/ioctls.h, and the same on powerpc.
const TIOCNOTTY = 0x5422;

/**
 * Gives up the terminal that this process was started from, for good, and for all that it starts: none of them opens it
 * as /dev/tty any more, or types into it. Signals of its keys still come, but not if the session is this process' own.
 * Where there is no terminal, nothing happens. ioctl_tty(2)
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
