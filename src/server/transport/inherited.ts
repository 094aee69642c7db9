import { childArguments } from '../child-arguments.ts';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SmallservdError } from '../../errors.ts';
import { readOpenFiles } from '../../open-files.ts';
import { hasSockets, kindOf } from '../../kernel/sockets.ts';
import type { ListenTarget } from './listener.ts';

/** An inherited descriptor and its type. */
export type InheritedTarget = Extract<ListenTarget, { fd: number }>;

/** The first descriptor that systemd passes, see sd_listen_fds(3). */
const firstPassed = 3;

/** The default of fs.nr_open. Used where the number of open descriptors is unknown. */
const mostOpen = 2 ** 20;

/**
 * Descriptors passed by systemd (or systemd-socket-activate), by their names in LISTEN_FDNAMES. A name may stand for
 * several. Empty if LISTEN_PID names another process. Throws `LISTEN_NO_DESCRIPTOR` if LISTEN_FDS is not a number, or
 * is larger than the number of open descriptors. See sd_listen_fds_with_names(3).
 */
export function passedDescriptors(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  openCount: number = readOpenFiles()?.open ?? mostOpen,
): ReadonlyMap<string, readonly number[]> {
  const passed = new Map<string, number[]>();
  if (env['LISTEN_PID'] !== String(pid)) return passed;
  const count = readCount(env['LISTEN_FDS'] ?? '', openCount);
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  for (let index = 0; index < count; index += 1) {
    const name = names[index] || 'unknown';
    const descriptors = passed.get(name);
    if (descriptors === undefined) passed.set(name, [firstPassed + index]);
    else descriptors.push(firstPassed + index);
  }
  return passed;
}

function readCount(text: string, most: number): number {
  if (!/^\d*$/.test(text))
    throw new SmallservdError('LISTEN_NO_DESCRIPTOR', `LISTEN_FDS is ${quote(text)}: expected a number`);
  const count = Number(text);
  if (count > most)
    throw new SmallservdError(
      'LISTEN_NO_DESCRIPTOR',
      `LISTEN_FDS is ${quote(text)}, but this process has only ${most} open descriptors`,
    );
  return count;
}

/** It may be longer than any message should be. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}

/**
 * Determines whether descriptors are TCP, UDP or UNIX sockets. `users` names the user of each descriptor, for error
 * messages. Throws `LISTEN_NO_DESCRIPTOR` if one is missing or is not a listening or datagram
 * socket.
 */
export async function identifyDescriptors(
  users: ReadonlyMap<number, string>,
): Promise<ReadonlyMap<number, InheritedTarget>> {
  const identified = new Map<number, InheritedTarget>();
  if (users.size === 0) return identified;
  for (const [fd, user] of users) assertSocket(fd, user);
  const fds = [...users.keys()];
  const kinds = hasSockets ? fds.map(inspect) : await probe(fds);
  [...users].forEach(([fd, user], index) => {
    const kind = kinds[index];
    if (kind === 'tcp' || kind === 'unix') identified.set(fd, { transport: kind, fd });
    else if (kind === 'udp4' || kind === 'udp6')
      identified.set(fd, { transport: 'udp', fd, family: kind === 'udp4' ? 'ipv4' : 'ipv6' });
    else throw noDescriptor(fd, user, 'is neither a listening stream socket nor a UDP socket');
  });
  return identified;
}

function inspect(fd: number): string | null {
  const kind = kindOf(fd);
  if (kind === undefined) return null;
  const { family, type, isListening } = kind;
  if (type === 'stream') return !isListening ? null : family === 'unix' ? 'unix' : 'tcp';
  return family === 'unix' ? null : family === 'ipv4' ? 'udp4' : 'udp6';
}

/**
 * Without libc: Node reports the type only after opening a descriptor, and closing it would close our only copy, so a
 * child process inspects copies.
 */
async function probe(fds: readonly number[]): Promise<readonly (string | null)[]> {
  const script = fileURLToPath(new URL('descriptor-probe.js', import.meta.url));
  const child = spawn(process.execPath, [...childArguments, script, String(fds.length)], {
    stdio: ['ignore', 'pipe', 'inherit', ...fds],
  });
  let answer = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new SmallservdError('LISTEN_FAILED', 'the inherited descriptors cannot be examined');
  return JSON.parse(answer) as (string | null)[];
}

function assertSocket(fd: number, user: string): void {
  let isSocket: boolean;
  try {
    isSocket = fstatSync(fd).isSocket();
  } catch (cause) {
    throw noDescriptor(fd, user, 'is not open: it was not passed to this process', cause);
  }
  if (!isSocket) throw noDescriptor(fd, user, 'is not a socket');
}

function noDescriptor(fd: number, user: string, fault: string, cause?: unknown): SmallservdError {
  return new SmallservdError('LISTEN_NO_DESCRIPTOR', `${user}: descriptor ${fd} ${fault}`, { cause });
}
