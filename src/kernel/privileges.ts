import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { libc } from './libc.ts';

// linux/prctl.h
const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;

/** keyctl(2) by architecture, see asm/unistd.h. */
const keyctl: Partial<Record<string, number>> = { x64: 250, arm64: 219, riscv64: 219, loong64: 219, ppc64: 271 };
const KEYCTL_JOIN_SESSION_KEYRING = 1;

/**
 * Permanently keeps programs started by this thread, and their descendants, from gaining privileges through set-uid
 * bits or file capabilities. A program started as root stays root. Returns false if the system does not support it.
 * https://docs.kernel.org/userspace-api/no_new_privs.html
 */
export function forbidNewPrivileges(): boolean {
  return libc?.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) === 0;
}

/**
 * Permanently drops all capabilities from this thread's bounding set, so no program it starts can have them, not even
 * as root. Returns false if that is not permitted (it needs CAP_SETPCAP) or not supported. See capabilities(7).
 */
export function dropBoundingSet(): boolean {
  if (libc === undefined) return false;
  // Reading the first capability unknown to the kernel fails.
  for (let each = 0; libc.prctl(PR_CAPBSET_READ, each, 0, 0, 0) >= 0; each += 1) {
    if (libc.prctl(PR_CAPBSET_DROP, each, 0, 0, 0) !== 0) return false;
  }
  return true;
}

/**
 * Returns whether any thread of this process has capabilities, and false if the system does not tell. A change of user
 * from root takes them, unless the securebit no_setuid_fixup is set. What is only inheritable gives nothing. See
 * capabilities(7).
 */
export function keepsCapabilities(): boolean {
  try {
    return readdirSync('/proc/self/task').some(hasCapabilities);
  } catch {
    return false;
  }
}

function hasCapabilities(thread: string): boolean {
  try {
    return /^Cap(?:Prm|Eff|Amb):\t0*[1-9a-f]/m.test(readFileSync(`/proc/self/task/${thread}/status`, 'utf8'));
  } catch {
    // It has ended.
    return false;
  }
}

/**
 * Makes the kernel kill this process when its parent exits, even if it hangs, and ends it now if `parent`, a process
 * ID, is no longer its parent. A change of user clears this, so call it again afterwards. Returns false if the system
 * does not support it. See PR_SET_PDEATHSIG(2const).
 */
export function endWithParent(parent: number): boolean {
  const isSet = libc?.prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL, 0, 0, 0) === 0;
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  return isSet;
}

/**
 * Gives up the login's keys: this thread and everything it starts from now on get an empty session keyring. A change of
 * user alone would keep them. Returns false if the system does not allow it, as in most containers, which have no such
 * keys. See session-keyring(7).
 */
export function leaveKeyring(): boolean {
  const number = keyctl[process.arch];
  return number !== undefined && (libc?.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) ?? -1) > 0;
}
