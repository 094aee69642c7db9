import { execFileSync } from 'node:child_process';
import { SmallservdError } from '../errors.ts';

/** A user and group to run as. */
export interface Identity {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
}

/** Whom the workers run as when root starts the daemon and the config says nothing. */
export const unprivilegedUser = 'nobody';

/**
 * Whom the workers of this process are to become; null: they stay who they are. Throws `USER_UNKNOWN`, or `USER_NOT_PERMITTED` where
 * somebody other than root wants to become another.
 */
export function findIdentity(user: string | null, group: string | null): Identity | null {
  const uid = process.geteuid?.();
  if (uid === 0) return user === 'root' && group === null ? null : lookUp(user ?? unprivilegedUser, group);
  if (user === null && group === null) return null;
  const wanted = lookUp(user ?? String(uid), group);
  if (wanted.uid === uid && (group === null || wanted.gid === process.getegid?.())) return null;
  throw new SmallservdError('USER_NOT_PERMITTED', `user ${user ?? uid}: only root can start workers as somebody else`);
}

/** Becomes the identity for good: supplementary groups first, as setuid gives up the right to change them. */
export function assumeIdentity({ user, uid, gid }: Identity): void {
  (process as NodeJS.Process & GroupRights).initgroups?.(user, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

/** Missing from Node's types. https://nodejs.org/api/process.html#processinitgroupsuser-extragroup */
interface GroupRights {
  initgroups?(user: string, extraGroup: number): void;
}

/** By getent(1), which asks the system's name services, as a glance into /etc/passwd would not. Numbers need no entry there. */
function lookUp(user: string, group: string | null): Identity {
  const [name, , uid, primaryGroup] = entryOf('passwd', user) ?? (isNumber(user) ? [user, '', user] : []);
  if (name === undefined) throw new SmallservdError('USER_UNKNOWN', `user ${user}: there is no such user`);
  const gid = group === null ? primaryGroup : groupId(group);
  if (gid === undefined)
    throw new SmallservdError('USER_UNKNOWN', `user ${user}: there is no such user, so no group of it: set group too`);
  return { user: name, uid: Number(uid), gid: Number(gid) };
}

/** The number of a user or a group; a number is its own. Undefined: there is none of that name. */
export function accountId(kind: 'user' | 'group', account: string): number | undefined {
  if (isNumber(account)) return Number(account);
  const id = entryOf(kind === 'user' ? 'passwd' : 'group', account)?.[2];
  return id === undefined ? undefined : Number(id);
}

function groupId(group: string): string {
  const gid = entryOf('group', group)?.[2] ?? (isNumber(group) ? group : undefined);
  if (gid === undefined) throw new SmallservdError('USER_UNKNOWN', `group ${group}: there is no such group`);
  return gid;
}

/** The fields of an entry, by name or number; undefined: there is none. */
function entryOf(database: 'passwd' | 'group', key: string): readonly string[] | undefined {
  try {
    const line = execFileSync('getent', [database, key], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return line.trimEnd().split(':');
  } catch (error) {
    // "One or more supplied key could not be found in the database"
    if ((error as { status?: number }).status === 2) return undefined;
    throw error;
  }
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
