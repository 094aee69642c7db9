import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pauseFor } from 'node:timers/promises';
import { SmallservdError } from '../../errors.ts';
import { noDirectory } from '../../system-error-text.ts';
import { childArguments } from '../child-arguments.ts';
import { O_PATH, pathOf } from '../path-descriptor.ts';
import { walkPath } from '../path-walk.ts';
import { type FileId, isSameFile } from './bound-file.ts';
import type { SocketAccess } from './listener.ts';
import { openError } from './open-error.ts';
import type { PlannedListener } from './plan.ts';

/** Delay before a second check of a dead socket, because a starting daemon refuses clients between bind and listen. */
const secondLookMs = 200;

/**
 * The files of a daemon's UNIX listeners. They are bound under a umask that keeps everyone else out, then get their
 * owner, group and mode here. Root may do this in a directory that others can write to, so a file is changed only if it
 * is certainly the one that the bind created.
 */
export class SocketFiles {
  readonly #maker: number;
  readonly #pause: (ms: number) => Promise<void>;
  /** By path, the same without symbolic links, resolved before the file existed. */
  readonly #places = new Map<string, string>();

  /** `maker` is the user of the process that binds the sockets. */
  constructor(maker: number = process.geteuid?.() ?? 0, pause: (ms: number) => Promise<void> = pauseFor) {
    this.#maker = maker;
    this.#pause = pause;
  }

  /**
   * Call before opening listeners. Removes files left by a killed daemon, because nothing answers on them and they
   * block the bind. `user` runs the service and may own the directory. Throws `LISTEN_NOT_PERMITTED` if root would have
   * to work in a directory that strangers can write to, or the result of `openError`.
   */
  async prepare(plan: readonly PlannedListener[], user: number = this.#maker): Promise<void> {
    // In parallel, to share one pause. Wait for all of them, so that none still runs after a failure.
    const all = await Promise.allSettled(plan.map((planned) => this.#prepare(planned, user)));
    for (const one of all) if (one.status === 'rejected') throw one.reason;
  }

  /**
   * Call after opening listeners. Sets owner, group and mode of each file. `created` are the files of the listeners, by
   * path. Without them, any socket of the maker at the path counts, which is enough if nobody else may write to its
   * directory, or could gain nothing. Throws `LISTEN_NOT_PERMITTED` if this process may not set that owner or group,
   * and `LISTEN_FAILED` if the file is not the one that was created.
   */
  grant(plan: readonly PlannedListener[], created?: ReadonlyMap<string, FileId>): void {
    for (const planned of plan) {
      const { target } = planned;
      if (!('path' in target) || target.access === undefined) continue;
      let file: number | undefined;
      try {
        file = openSync(target.path, O_PATH | constants.O_NOFOLLOW);
        // Open, it stays the same file, whatever happens to its name.
        if (!this.#isOurs(file, target.path, created)) throw replaced(planned);
        setAccess(planned, file, target.access);
      } catch (error) {
        throw error instanceof SmallservdError ? error : openError(planned, error);
      } finally {
        if (file !== undefined) closeSync(file);
      }
    }
  }

  async #prepare(planned: PlannedListener, user: number): Promise<void> {
    const { target } = planned;
    if (!('path' in target) || target.access === undefined) return;
    let directory: number | undefined;
    try {
      directory = openDirectory(planned, dirname(target.path));
      if (isRoot()) {
        assertOurs(planned, directory, [0, this.#maker, user, target.access.uid]);
        if (this.#maker === 0) await assertWay(planned, dirname(target.path), linkedBy(directory));
      }
      await this.#makeRoom(target.path, directory);
    } catch (error) {
      throw error instanceof SmallservdError ? error : openError(planned, error);
    } finally {
      if (directory !== undefined) closeSync(directory);
    }
  }

  async #makeRoom(path: string, directory: number): Promise<void> {
    // Use the directory that was checked, wherever its path leads by now. Anyone who can write to it may replace the
    // file before it is removed, but could have removed it as well.
    const file = join(pathOf(directory), basename(path));
    const found = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (found?.isSocket() === true && (await this.#staysDead(directory, basename(path), found))) unlinkSync(file);
    // Root must not mistake an existing file for its own. A listener that a reload brings back may still be open.
    else if (found !== undefined && isRoot() && !this.#places.has(path))
      throw Object.assign(new Error('EADDRINUSE'), { code: 'EADDRINUSE' });
    this.#places.set(path, join(linkedBy(directory), basename(path)));
  }

  async #staysDead(directory: number, name: string, found: BigIntStats): Promise<boolean> {
    if (!(await isDead(directory, name, found))) return false;
    await this.#pause(secondLookMs);
    const now = lstatSync(join(pathOf(directory), name), { bigint: true, throwIfNoEntry: false });
    return now?.ino === found.ino && (await isDead(directory, name, now));
  }

  /** A file with a second link could be another user's socket, linked here by anyone who can write to our directory. */
  #isOurs(file: number, path: string, created: ReadonlyMap<string, FileId> | undefined): boolean {
    const is = fstatSync(file, { bigint: true });
    const isKnown = created === undefined ? is.uid === BigInt(this.#maker) : isSameFile(created.get(path), is);
    return is.isSocket() && is.nlink === 1n && linkedBy(file) === this.#places.get(path) && isKnown;
  }
}

function replaced({ service, text }: PlannedListener): SmallservdError {
  const why = 'its file is not the socket that was created there: someone has replaced it';
  return new SmallservdError('LISTEN_FAILED', `${service}: cannot listen on ${text}: ${why}`);
}

function setAccess(planned: PlannedListener, file: number, { mode, uid, gid }: SocketAccess): void {
  const is = fstatSync(file);
  const modeBefore = is.mode & 0o7777;
  // During the change, grant only what both the old and the new mode allow.
  if ((modeBefore & mode) !== modeBefore) chmodSync(pathOf(file), modeBefore & mode);
  if (is.uid !== uid || is.gid !== gid) give(planned, file, uid, gid, is.uid);
  if ((modeBefore & mode) !== mode) chmodSync(pathOf(file), mode);
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** Throws `LISTEN_FAILED` if there is none. */
function openDirectory({ service, text }: PlannedListener, path: string): number {
  try {
    return openSync(path, O_PATH | constants.O_DIRECTORY);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new SmallservdError('LISTEN_FAILED', `${service}: cannot listen on ${text}: ${noDirectory(path)}`, { cause });
  }
}

/** Throws if anyone but `owners` can replace files in the directory. */
function assertOurs(planned: PlannedListener, directory: number, owners: readonly number[]): void {
  const stats = fstatSync(directory);
  const { uid, mode } = stats;
  const isSticky = (mode & 0o1000) !== 0;
  const name = linkedBy(directory);
  if (!owners.includes(uid))
    throw refusal(
      planned,
      `the directory ${name} belongs to user ${uid}: expected root, the user of the workers or the owner of the socket`,
    );
  if (isWritableByOthers(stats) && !isSticky)
    throw refusal(
      planned,
      `others can write to the directory ${name}, which has mode ${formatMode(mode)}: expected 0755 or stricter, or a sticky directory`,
    );
}

/** Root binds and removes sockets by path, so root must own every component of it, or someone could replace one. */
async function assertWay(planned: PlannedListener, path: string, directory: string): Promise<void> {
  for await (const { path: way, stats } of walkPath(path)) {
    if (way === '/') continue;
    const isRoots = stats.uid === 0n;
    const parent = lstatSync(dirname(way));
    const isOpen = isWritableByOthers(parent);
    const isSticky = (parent.mode & 0o1000) !== 0;
    const isOwnersAlone = !isOpen || (isSticky && isRoots);
    if (isOwnersAlone && (way === directory || isRoots)) continue;
    const who = isOpen && !isSticky ? `anyone who can write to ${dirname(way)}` : `user ${stats.uid}`;
    const kind = stats.isSymbolicLink() ? 'link' : 'directory';
    throw refusal(
      planned,
      `${who} can replace the ${kind} ${way} on the path to the socket: expected all directories and links there to belong to root; only the last directory may belong to the user of the workers or the owner of the socket`,
    );
  }
}

/** By anyone but the owner and root's group. */
function isWritableByOthers({ mode, gid }: Stats): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
}

function give(planned: PlannedListener, file: number, uid: number, gid: number, owner: number): void {
  try {
    chownSync(pathOf(file), uid, gid);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EPERM') throw cause;
    const why =
      owner === uid
        ? `only root (CAP_CHOWN) can give it to group ${gid}, of which this process is not a member`
        : `only root (CAP_CHOWN) can give it to user ${uid}`;
    throw refusal(planned, why, cause);
  }
}

function linkedBy(descriptor: number): string {
  try {
    return readlinkSync(pathOf(descriptor));
  } catch (cause) {
    throw Object.assign(new Error('UNIX sockets need /proc, which is missing here'), { cause });
  }
}

function refusal({ service, text }: PlannedListener, why: string, cause?: unknown): SmallservdError {
  return new SmallservdError('LISTEN_NOT_PERMITTED', `${service}: cannot listen on ${text}: ${why}`, { cause });
}

function formatMode(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

/** Whether nothing listens on the socket. */
async function isDead(directory: number, name: string, stats: BigIntStats): Promise<boolean> {
  const path = join(pathOf(directory), name);
  const mode = Number(stats.mode);
  // Connecting requires write permission, which the mode may deny even to the owner.
  const isShut = !isRoot() && Number(stats.uid) === process.geteuid?.() && (mode & 0o200) === 0;
  if (isShut) chmodSync(path, mode | 0o200);
  try {
    return await refusesClients(directory, name);
  } finally {
    if (isShut) chmodSync(path, mode);
  }
}

/** Exits with 0 if it is refused. `process.exit` would first close the socket, and that could wait. */
const probe = `
const kill = () => process.kill(process.pid, 'SIGKILL');
const socket = require('node:net').connect(process.argv[1]);
socket.on('connect', kill);
socket.on('error', ({ code }) => (code === 'ECONNREFUSED' ? process.exit(0) : kill()));`;

/** How long the probe may take. A listener whose backlog is full keeps it waiting, and is not dead. */
const probeMs = 2000;

/** Asks in another process: whoever listens there could send a descriptor whose close waits for as long as it likes. */
async function refusesClients(directory: number, name: string): Promise<boolean> {
  const inherited = 3;
  const child = spawn(process.execPath, [...childArguments, '--eval', probe, join(pathOf(inherited), name)], {
    stdio: ['ignore', 'ignore', 'ignore', directory],
    env: {},
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), probeMs);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  return code === 0;
}
