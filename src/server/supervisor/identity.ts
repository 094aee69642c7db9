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
 * Candidate users for workers when root starts the daemon and the config names no user. The first that exists and is
 * not another name for root is used.
 */
const unprivilegedUsers = ['smallservd', 'nobody'] as const;

/** The user that other daemons run as, too: they may signal and trace each other. */
export const sharedUser = unprivilegedUsers[1];

/**
 * Returns the identity that the workers of this process take on; null to keep the current one. Throws `USER_UNKNOWN`,
 * or `USER_NOT_PERMITTED` if a user other than root wants to become another.
 */
export async function findIdentity(user: string | null, group: string | null): Promise<Identity | null> {
  const uid = process.geteuid?.();
  const gid = process.getegid?.();
  if (uid === 0) {
    const wanted = await (user === null ? unprivilegedIdentity(group) : lookUp(user, group));
    // Compare ids: root has other names, and a number.
    return wanted.uid === 0 && wanted.gid === gid ? null : wanted;
  }
  if (user === null && group === null) return null;
  const wanted = await lookUp(user ?? String(uid), group);
  if (wanted.uid === uid && (group === null || wanted.gid === gid)) return null;
  throw new SmallservdError('USER_NOT_PERMITTED', `user ${user ?? uid}: only root can start workers as another user`);
}

/** Returns who serves the admin endpoint under a root supervisor: `workers`, but never root. Throws `USER_UNKNOWN`. */
export async function adminIdentity(workers: Identity | null): Promise<Identity> {
  return workers === null || workers.uid === 0 ? unprivilegedIdentity(null) : workers;
}

/**
 * Permanently becomes the identity, as root. No program that this process starts can gain capabilities, and the
 * supplementary groups are the user's own. Node and its code are loaded as root, because the user may not be able to
 * read them.
 */
export function assumeIdentity({ user, uid, gid }: Identity): void {
  if (uid !== 0) dropBoundingSet();
  // Before setuid, after which groups can no longer be changed. Missing from Node's types.
  // https://nodejs.org/api/process.html#processinitgroupsuser-extragroup
  (process as NodeJS.Process & { initgroups?(user: string, extraGroup: number): void }).initgroups?.(user, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

async function unprivilegedIdentity(group: string | null): Promise<Identity> {
  for (const user of unprivilegedUsers) {
    const uid = (await entryOf('passwd', user))?.[2];
    if (uid !== undefined && Number(uid) !== 0) return lookUp(user, group);
  }
  const names = unprivilegedUsers.join(' nor ');
  throw new SmallservdError('USER_UNKNOWN', `neither ${names} is an unprivileged user: set user`);
}

/** Uses getent(1), which queries the system's name services, unlike reading /etc/passwd. Numbers need no entry. */
async function lookUp(user: string, group: string | null): Promise<Identity> {
  const [name, , uid, primaryGroup] = (await entryOf('passwd', user)) ?? (isNumber(user) ? [user, '', user] : []);
  if (name === undefined)
    throw new SmallservdError('USER_UNKNOWN', `user: there is no user ${JSON.stringify(user)} on this machine`);
  const gid = group === null ? primaryGroup : await groupId(group);
  if (gid === undefined) throw new SmallservdError('USER_UNKNOWN', `user ${user}: no passwd entry: set group, too`);
  return { user: name, uid: Number(uid), gid: Number(gid) };
}

/** Returns the id of a user or a group; a number is its own id. Undefined if the name is unknown. */
export async function accountId(kind: 'user' | 'group', account: string): Promise<number | undefined> {
  if (isNumber(account)) return Number(account);
  const id = (await entryOf(kind === 'user' ? 'passwd' : 'group', account))?.[2];
  return id === undefined ? undefined : Number(id);
}

async function groupId(group: string): Promise<string> {
  const gid = (await entryOf('group', group))?.[2] ?? (isNumber(group) ? group : undefined);
  if (gid === undefined)
    throw new SmallservdError('USER_UNKNOWN', `group: there is no group ${JSON.stringify(group)} on this machine`);
  return gid;
}

/** Returns the fields of an entry, by name or number; undefined if there is none. */
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
