import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SmallservdError } from '../../errors.ts';
import { dropBoundingSet, keepsCapabilities } from '../../kernel/privileges.ts';

const run = promisify(execFile);

/** A user and group to run as. */
export interface Identity {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
}

export type AccountKind = 'user' | 'group';

/** The fields of a line of passwd(5) or group(5). */
type Entry = readonly string[];

/** Thrown if the machine has no such user or group. `key` is the key of the config that names it, or should. */
export class UnknownAccountError extends SmallservdError {
  readonly key: AccountKind;
  /** What is wrong, without the key. */
  readonly fault: string;

  constructor(key: AccountKind, fault: string) {
    super('USER_UNKNOWN', `${key}: ${fault}`);
    this.key = key;
    this.fault = fault;
  }
}

/**
 * Candidate users for workers when root starts the daemon and the config names no user. The first that exists and is
 * not another name for root is used.
 */
const unprivilegedUsers = ['smallservd', 'nobody'] as const;

/** The user that other daemons run as, too: they may signal and trace each other. */
export const sharedUser = unprivilegedUsers[1];

/**
 * Returns the identity that the workers of this process take on; null to keep the current one. Throws
 * `UnknownAccountError`, or `USER_NOT_PERMITTED` if a user other than root wants to become another.
 */
export async function findIdentity(user: string | null, group: string | null): Promise<Identity | null> {
  const uid = process.geteuid?.();
  const gid = process.getegid?.();
  if (uid === 0) {
    const wanted = await (user === null ? unprivilegedIdentity(group) : lookUp(user, group));
    // Compare ids: root has other names, and a number.
    return wanted.uid === 0 && wanted.gid === gid ? null : wanted;
  }
  if ((await isOwn('user', user, uid)) && (await isOwn('group', group, gid))) return null;
  // Reports an unknown name rather than a lack of privileges.
  await lookUp(user ?? String(uid), group ?? String(gid));
  throw new SmallservdError('USER_NOT_PERMITTED', `user ${user ?? uid}: only root can start workers as another user`);
}

async function isOwn(kind: AccountKind, account: string | null, own: number | undefined): Promise<boolean> {
  return account === null || (await accountId(kind, account)) === own;
}

/**
 * Returns who serves the admin endpoint under a root supervisor: `workers`, but never root. Throws
 * `UnknownAccountError`.
 */
export async function adminIdentity(workers: Identity | null): Promise<Identity> {
  return workers === null || workers.uid === 0 ? unprivilegedIdentity(null) : workers;
}

/**
 * Permanently becomes the identity, as root. No program that this process starts can gain capabilities, and the
 * supplementary groups are the user's own. Node and its code are loaded as root, because the user may not be able to
 * read them. Throws `USER_NOT_PERMITTED` if it would keep capabilities.
 */
export function assumeIdentity({ user, uid, gid }: Identity): void {
  if (uid !== 0) dropBoundingSet();
  // Before setuid, after which groups can no longer be changed. Missing from Node's types.
  // https://nodejs.org/api/process.html#processinitgroupsuser-extragroup
  (process as NodeJS.Process & { initgroups?(user: string, extraGroup: number): void }).initgroups?.(user, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
  if (uid !== 0 && keepsCapabilities())
    throw new SmallservdError(
      'USER_NOT_PERMITTED',
      `user ${user}: the process would keep capabilities of root: start it without the securebit no_setuid_fixup`,
    );
}

async function unprivilegedIdentity(group: string | null): Promise<Identity> {
  for (const user of unprivilegedUsers) {
    const entry = await entryOf('passwd', user);
    if (entry !== undefined && Number(entry[2]) !== 0) return identityOf(user, entry, group);
  }
  const names = unprivilegedUsers.join(' nor ');
  throw new UnknownAccountError('user', `is not set, and neither ${names} is an unprivileged user on this machine`);
}

async function lookUp(user: string, group: string | null): Promise<Identity> {
  return identityOf(user, await entryOf('passwd', user), group);
}

/** A number is an id, and needs no entry in a database; without one, its group must be given. */
async function identityOf(user: string, entry: Entry | undefined, group: string | null): Promise<Identity> {
  if (entry === undefined && !isNumber(user))
    throw new UnknownAccountError('user', `${JSON.stringify(user)} is not a user on this machine`);
  const [name = user, , uid = user, primaryGroup] = entry ?? [];
  const gid = group === null ? primaryGroup : await groupId(group);
  if (gid === undefined) throw new UnknownAccountError('user', `${user} has no passwd entry: set group, too`);
  return { user: name, uid: Number(uid), gid: Number(gid) };
}

async function groupId(group: string): Promise<number> {
  const gid = await accountId('group', group);
  if (gid !== undefined) return gid;
  throw new UnknownAccountError('group', `${JSON.stringify(group)} is not a group on this machine`);
}

/** Returns the id of a user or a group; a number is its own id. Undefined if the name is unknown. */
export async function accountId(kind: AccountKind, account: string): Promise<number | undefined> {
  if (isNumber(account)) return Number(account);
  const id = (await entryOf(kind === 'user' ? 'passwd' : 'group', account))?.[2];
  return id === undefined ? undefined : Number(id);
}

/**
 * Returns the fields of an entry, by name or number; undefined if there is none. Uses getent(1), which queries the
 * system's name services, unlike reading /etc/passwd.
 */
async function entryOf(database: 'passwd' | 'group', key: string): Promise<Entry | undefined> {
  try {
    const { stdout } = await run('getent', [database, key]);
    return stdout.trimEnd().split(':');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // "One or more supplied key could not be found in the database"
    if (code === 2) return undefined;
    // Small images lack the program.
    if (code === 'ENOENT' && isNumber(key)) return undefined;
    if (code === 'ENOENT')
      throw new UnknownAccountError(
        database === 'passwd' ? 'user' : 'group',
        `${JSON.stringify(key)} cannot be looked up without getent(1): install it, or set user and group to numbers`,
      );
    throw error;
  }
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
