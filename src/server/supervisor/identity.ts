import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SmallservdError } from '../../errors.ts';
import { dropBoundingSet } from '../../kernel/privileges.ts';

const run = promisify(execFile);

/** A user and group to run as. */
export interface Identity {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom workers run as when root starts the daemon and the config names no user: the first of these that the machine
 * has, and that is not root by another name.
 */
const unprivilegedUsers = ['smallservd', 'nobody'] as const;

/** The user that other daemons run as, too: they may signal and trace each other. */
export const sharedUser = unprivilegedUsers[1];

/**
 * Whom the workers of this process are to become; null: they stay who they are. Throws `USER_UNKNOWN`, or
 * `USER_NOT_PERMITTED` where somebody other than root wants to become another.
 */
export async function findIdentity(user: string | null, group: string | null): Promise<Identity | null> {
  const uid = process.geteuid?.();
  const gid = process.getegid?.();
  if (uid === 0) {
    const wanted = await (user === null ? unprivilegedIdentity(group) : lookUp(user, group));
    // The ids decide: root has other names, and a number.
    return wanted.uid === 0 && wanted.gid === gid ? null : wanted;
  }
  if (user === null && group === null) return null;
  const wanted = await lookUp(user ?? String(uid), group);
  if (wanted.uid === uid && (group === null || wanted.gid === gid)) return null;
  throw new SmallservdError('USER_NOT_PERMITTED', `user ${user ?? uid}: only root can start workers as somebody else`);
}

/**
 * Whom the admin endpoint is served as under a root supervisor whose workers are `workers`: never as root. Throws
 * `USER_UNKNOWN`.
 */
export async function adminIdentity(workers: Identity | null): Promise<Identity> {
  return workers === null || workers.uid === 0 ? unprivilegedIdentity(null) : workers;
}

/**
 * Becomes the identity for good, as root: no program that this process starts can get capabilities, and the
 * supplementary groups are the user's own. Node has been started, and its code loaded, as root: the user may not be
 * able to read it.
 */
export function assumeIdentity({ user, uid, gid }: Identity): void {
  if (uid !== 0) dropBoundingSet();
  // Before setuid, which gives up the right to change groups.
  (process as NodeJS.Process & GroupRights).initgroups?.(user, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

/** Missing from Node's types. https://nodejs.org/api/process.html#processinitgroupsuser-extragroup */
interface GroupRights {
  initgroups?(user: string, extraGroup: number): void;
}

async function unprivilegedIdentity(group: string | null): Promise<Identity> {
  for (const user of unprivilegedUsers) {
    const uid = (await entryOf('passwd', user))?.[2];
    if (uid !== undefined && Number(uid) !== 0) return lookUp(user, group);
  }
  const names = unprivilegedUsers.join(' or ');
  throw new SmallservdError('USER_UNKNOWN', `no user ${names} other than root: set user`);
}

/**
 * By getent(1), which asks the system's name services, as a glance into /etc/passwd would not. Numbers need no entry
 * there.
 */
async function lookUp(user: string, group: string | null): Promise<Identity> {
  const [name, , uid, primaryGroup] = (await entryOf('passwd', user)) ?? (isNumber(user) ? [user, '', user] : []);
  if (name === undefined) throw new SmallservdError('USER_UNKNOWN', `user ${user}: no such user`);
  const gid = group === null ? primaryGroup : await groupId(group);
  if (gid === undefined) throw new SmallservdError('USER_UNKNOWN', `user ${user}: no such user, so set group, too`);
  return { user: name, uid: Number(uid), gid: Number(gid) };
}

/** The number of a user or a group; a number is its own. Undefined: there is none of that name. */
export async function accountId(kind: 'user' | 'group', account: string): Promise<number | undefined> {
  if (isNumber(account)) return Number(account);
  const id = (await entryOf(kind === 'user' ? 'passwd' : 'group', account))?.[2];
  return id === undefined ? undefined : Number(id);
}

async function groupId(group: string): Promise<string> {
  const gid = (await entryOf('group', group))?.[2] ?? (isNumber(group) ? group : undefined);
  if (gid === undefined) throw new SmallservdError('USER_UNKNOWN', `group ${group}: no such group`);
  return gid;
}

/** The fields of an entry, by name or number; undefined: there is none. */
async function entryOf(database: 'passwd' | 'group', key: string): Promise<readonly string[] | undefined> {
  try {
    const { stdout } = await run('getent', [database, key]);
    return stdout.trimEnd().split(':');
  } catch (error) {
    // "One or more supplied key could not be found in the database"
    if (error instanceof Error && 'code' in error && error.code === 2) return undefined;
    throw error;
  }
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
