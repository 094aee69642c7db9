import { constants } from 'node:os';
import { libc } from './libc.ts';

// linux/prctl.h
const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;

/** keyctl(2), by architecture: asm/unistd.h */
const keyctl: Partial<Record<string, number>> = { x64: 250, arm64: 219, riscv64: 219, loong64: 219, ppc64: 271 };
const KEYCTL_JOIN_SESSION_KEYRING = 1;

/**
 * From now on no program that this thread starts gains privileges through a set-uid bit or file capabilities; neither
 * do the programs that those start. It cannot be undone. A program started as root stays root. False where the system
 * does not know it. https://docs.kernel.org/userspace-api/no_new_privs.html
 */
export function forbidNewPrivileges(): boolean {
  return libc?.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) === 0;
}

/**
 * Takes all capabilities out of this thread's bounding set for good: no program that it starts can have them, not even
 * as root. False where that is not permitted (it takes CAP_SETPCAP) or not known. capabilities(7)
 */
export function dropBoundingSet(): boolean {
  if (libc === undefined) return false;
  // The kernel tells which capabilities it knows: of the first that it does not, nothing can be read.
  for (let each = 0; libc.prctl(PR_CAPBSET_READ, each, 0, 0, 0) >= 0; each += 1) {
    if (libc.prctl(PR_CAPBSET_DROP, each, 0, 0, 0) !== 0) return false;
  }
  return true;
}

/**
 * Has the kernel kill this process when its parent ends, also where it hangs. To be said anew after a change of user,
 * which ends it. False where the system does not know it. PR_SET_PDEATHSIG(2const)
 */
export function endWithParent(): boolean {
  return libc?.prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL, 0, 0, 0) === 0;
}

/**
 * Gives up the keys of the login that this thread comes from: it, and whatever it starts from now on, has an empty
 * session keyring. A change of user would leave them. False where the system does not allow it, as in most containers,
 * which have no such keys. session-keyring(7)
 */
export function leaveKeyring(): boolean {
  const number = keyctl[process.arch];
  return number !== undefined && (libc?.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, 0) ?? -1) > 0;
}
