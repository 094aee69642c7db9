/** Determines from the kernel and /proc which process owns the socket that a client has reached. proc(5) */
import { closeSync, type Dir, opendirSync, openSync, readlinkSync, readSync } from 'node:fs';
import { endianness, networkInterfaces } from 'node:os';
import { basename } from 'node:path';
import { type IpAddress, isIpv4, isLoopback, isUnspecified, parseIp } from '../../address/ip-address.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { largestPid } from '../../kernel/process-handle.ts';
import type { ConnectedTo } from '../admin/client.ts';

/** A listening TCP socket. */
export interface ListeningSocket {
  readonly inode: string;
  /** The user that created it. */
  readonly uid: number;
}

export interface ProcessStatus {
  readonly parent: number;
  /** Real, effective, saved and file system user ids. */
  readonly uids: readonly number[];
}

/**
 * Access to the system. Paths are relative to /proc; undefined means missing or not readable by us. Strangers decide
 * how large these files and directories are, so tables and directories come an entry at a time.
 */
export interface ProcFiles {
  /** Undefined also if the file is larger than `maxFileBytes`. */
  read(path: string): string | undefined;
  /** There are none if the file cannot be read. */
  lines(path: string): Iterable<string>;
  link(path: string): string | undefined;
  list(path: string): Iterable<string> | undefined;
  /** The addresses of this machine, including loopback. */
  readonly ownAddresses: readonly string[];
  /** The user id of this process. */
  readonly uid: number;
}

const listenState = '0A';

/**
 * For a command line, which a process can make as long as its memory, and for a status, which has a kilobyte or two,
 * and up to eleven bytes for each group.
 */
const maxFileBytes = 64 * 1024;

/**
 * How many files and links of processes are looked at, and for how long. A supervisor holds the socket itself, and has
 * few descriptors. Only strangers make the search longer: with processes, descriptors, and rows in the tables.
 */
const mostLooks = 200_000;
const patienceMs = 5000;

/**
 * Returns why the process is not the smallservd listening where the client is connected, or undefined if it is. The
 * listener must be the process or, as under a root supervisor, a child of it.
 */
export function whyNotListener(
  pid: number,
  at: ConnectedTo,
  system: ProcFiles,
  clock: Pick<Clock, 'monotonicMs'> = systemClock,
): string | undefined {
  try {
    return findWhyNot(pid, at, withLimits(system, clock));
  } catch (error) {
    if (error instanceof TooMuchToRead) return error.message;
    throw error;
  }
}

function findWhyNot(pid: number, at: ConnectedTo, proc: ProcFiles): string | undefined {
  if (!Number.isSafeInteger(pid) || pid < 1 || pid > largestPid) return 'that is not a valid process ID';
  const status = parseStatus(proc.read(`${pid}/status`) ?? '');
  if (status === undefined) return 'no such process exists here';
  if (!isSmallservd(proc.read(`${pid}/cmdline`) ?? '', proc.link(`${pid}/exe`))) return 'it is not smallservd';
  return 'path' in at ? whyNotUnixListener(pid, at.listenerPid, proc) : whyNotTcpListener(pid, status, at, proc);
}

/**
 * The kernel says which process listens. Neither the table of UNIX sockets nor the file does: a path may contain a
 * newline, so anybody can forge rows of the table, and a file can be renamed after the bind.
 */
function whyNotUnixListener(pid: number, listener: number | undefined, proc: ProcFiles): string | undefined {
  if (listener === undefined) return 'the system does not say which process listens there';
  if (listener === 0) return 'the process that listens there is in another container';
  if (listener === pid || parentOf(listener, proc) === pid) return undefined;
  return 'another process listens there';
}

/**
 * Descriptors may be hidden from us (Linux hides those of a process with capabilities from its own user). They are not
 * required if we own both the socket and the process. None are hidden from root.
 */
function whyNotTcpListener(
  pid: number,
  status: ProcessStatus,
  at: { readonly address: string; readonly port: number },
  proc: ProcFiles,
): string | undefined {
  const sockets = tcpListenersAt(at, proc);
  if (sockets === undefined) return 'the endpoint is not on this machine';
  if (sockets.length === 0) return 'nothing listens there in this network namespace';
  const inodes = new Set(sockets.map(({ inode }) => inode));
  const held = holdsOneOf(inodes, pid, proc);
  if (held === true) return undefined;
  let isHidden = held === undefined;
  for (const child of childrenOf(pid, proc)) {
    const holds = holdsOneOf(inodes, child, proc);
    // The child may have ended, and another process may have got its number.
    if (holds === true && parentOf(child, proc) === pid) return undefined;
    isHidden ||= holds === undefined;
  }
  if (!isHidden) return 'it does not hold the socket';
  if (proc.uid === 0) return 'its descriptors cannot be read';
  if (!status.uids.every((uid) => uid === proc.uid))
    return 'it belongs to another user, and its descriptors are hidden';
  if (sockets.some(({ uid }) => uid === proc.uid)) return undefined;
  return 'its descriptors are hidden, and the socket belongs to another user';
}

/** Returns the sockets that accept connections to this address; undefined if the address is not local. */
function tcpListenersAt(
  at: { readonly address: string; readonly port: number },
  proc: ProcFiles,
): readonly ListeningSocket[] | undefined {
  const address = parseIp(at.address);
  if (address === undefined) return undefined;
  if (!isLoopback(address) && !proc.ownAddresses.some((own) => isSame(parseIp(own), address))) return undefined;
  const tables = { ipv4: proc.lines('self/net/tcp'), ipv6: proc.lines('self/net/tcp6') };
  return tcpListeners(tables, address, at.port, endianness());
}

/**
 * Returns the listening sockets that receive connections to an address, from /proc/net/tcp and tcp6: those bound to the
 * address itself, else those bound to all addresses. A socket bound to `::` also receives IPv4 connections unless set
 * to IPv6 only, which the table does not show.
 */
export function tcpListeners(
  tables: { readonly ipv4: Iterable<string>; readonly ipv6: Iterable<string> },
  address: IpAddress,
  port: number,
  order: 'LE' | 'BE',
): readonly ListeningSocket[] {
  const candidates = (isIpv4(address) ? [tables.ipv4, tables.ipv6] : [tables.ipv6]).map((table) => {
    const rows: TcpListener[] = [];
    for (const line of table) {
      const row = parseTcpRow(line, order);
      if (row?.port === port && (isSame(row.address, address) || isUnspecified(row.address))) rows.push(row);
    }
    return rows;
  });
  const exact = candidates.map((table) => table.filter((row) => isSame(row.address, address)));
  const wildcard = candidates.map((table) => table.filter((row) => isUnspecified(row.address)));
  return [...exact, ...wildcard].find((found) => found.length > 0) ?? [];
}

interface TcpListener extends ListeningSocket {
  readonly address: IpAddress;
  readonly port: number;
}

/** Undefined unless it is the row of a listening socket. */
function parseTcpRow(line: string, order: 'LE' | 'BE'): TcpListener | undefined {
  // Nearly all rows of a busy machine are others.
  if (!line.includes(` ${listenState} `)) return undefined;
  // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
  const [, local = '', , state, , , , uid = '', , inode = ''] = line.trim().split(/\s+/);
  const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local);
  if (match === null || state !== listenState || !/^\d+$/.test(uid) || !/^[1-9]\d*$/.test(inode)) return undefined;
  // The kernel prints the four network-order bytes as one number in host byte order.
  const words = (match[1]?.match(/.{8}/g) ?? []).map((hex) => {
    const bytes = Buffer.from(hex, 'hex');
    return order === 'LE' ? bytes.readUInt32LE() : bytes.readUInt32BE();
  });
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words.length === 1 ? [0, 0, 0xffff, ...words] : words;
  return { address: { w0, w1, w2, w3 }, port: Number.parseInt(match[2] ?? '', 16), uid: Number(uid), inode };
}

/** Parses /proc/PID/status; undefined if the text is not valid. */
export function parseStatus(text: string): ProcessStatus | undefined {
  const parent = /^PPid:\s+(\d+)$/m.exec(text)?.[1];
  const uids = /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$/m.exec(text)?.slice(1).map(Number);
  return parent === undefined || uids === undefined ? undefined : { parent: Number(parent), uids };
}

/** Checks /proc/PID/cmdline and the link /proc/PID/exe, or, if that is hidden, the program name in the command line. */
export function isSmallservd(commandLine: string, executable: string | undefined): boolean {
  const [called = '', ...args] = commandLine.split('\0');
  // An upgrade removes the executable of a running program.
  const program = basename((executable ?? called).replace(/ \(deleted\)$/, ''));
  const isNode = program === 'node' || program === 'nodejs' || program === basename(process.execPath);
  return isNode && args.some((each) => ['smallservd', 'smallservd.js'].includes(basename(each)));
}

/** Returns whether a process holds one of these sockets, or undefined if its descriptors are hidden. */
function holdsOneOf(inodes: ReadonlySet<string>, pid: number, proc: ProcFiles): boolean | undefined {
  const descriptors = proc.list(`${pid}/fd`);
  if (descriptors === undefined) return undefined;
  let [count, hidden] = [0, 0];
  for (const descriptor of descriptors) {
    const link = proc.link(`${pid}/fd/${descriptor}`);
    const inode = /^socket:\[(\d+)\]$/.exec(link ?? '')?.[1];
    if (inode !== undefined && inodes.has(inode)) return true;
    count += 1;
    if (link === undefined) hidden += 1;
  }
  return count > 0 && hidden === count ? undefined : false;
}

function* childrenOf(pid: number, proc: ProcFiles): Generator<number> {
  for (const name of proc.list('.') ?? [])
    if (/^\d+$/.test(name) && parentOf(Number(name), proc) === pid) yield Number(name);
}

function parentOf(pid: number, proc: ProcFiles): number | undefined {
  return parseStatus(proc.read(`${pid}/status`) ?? '')?.parent;
}

function isSame(one: IpAddress | undefined, other: IpAddress): boolean {
  return one !== undefined && one.w0 === other.w0 && one.w1 === other.w1 && one.w2 === other.w2 && one.w3 === other.w3;
}

class TooMuchToRead extends Error {}

/** The same, but throws `TooMuchToRead` when a limit is exceeded. */
function withLimits(proc: ProcFiles, clock: Pick<Clock, 'monotonicMs'>): ProcFiles {
  const endMs = clock.monotonicMs() + patienceMs;
  let looks = 0;
  function* inTime(entries: Iterable<string>): Generator<string> {
    for (const each of entries) {
      if (clock.monotonicMs() >= endMs)
        throw new TooMuchToRead(`looking for the socket takes more than ${patienceMs / 1000} s`);
      yield each;
    }
  }
  const look = (): void => {
    looks += 1;
    if (looks > mostLooks) throw new TooMuchToRead('there are too many processes and descriptors to look at');
  };
  return {
    ...proc,
    read(path) {
      look();
      return proc.read(path);
    },
    link(path) {
      look();
      return proc.link(path);
    },
    lines: (path) => inTime(proc.lines(path)),
    list(path) {
      const names = proc.list(path);
      return names && inTime(names);
    },
  };
}

/** The real system. */
export const systemProcFiles: ProcFiles = {
  read: (path) => orUndefined(() => readBounded(`/proc/${path}`)),
  lines: (path) => linesOf(`/proc/${path}`),
  link: (path) => orUndefined(() => readlinkSync(`/proc/${path}`)),
  list(path) {
    const directory = orUndefined(() => opendirSync(`/proc/${path}`));
    return directory && namesIn(directory);
  },
  get ownAddresses() {
    const interfaces = orUndefined(() => Object.values(networkInterfaces())) ?? [];
    return interfaces.flatMap((each) => each ?? []).map(({ address }) => address);
  },
  get uid() {
    return process.geteuid?.() ?? -1;
  },
};

function readBounded(path: string): string | undefined {
  const parts: Buffer[] = [];
  let length = 0;
  for (const chunk of chunksOf(path, smallChunk)) {
    parts.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > maxFileBytes) return undefined;
  }
  return Buffer.concat(parts).toString();
}

function* linesOf(path: string): Generator<string> {
  let unfinished = '';
  try {
    for (const chunk of chunksOf(path, Buffer.allocUnsafe(chunkBytes))) {
      const lines = (unfinished + chunk.toString('latin1')).split('\n');
      unfinished = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // There is no such table, as without IPv6, or it cannot be read.
  }
}

const chunkBytes = 16 * 1024;

/** One for all files of processes, of which there may be many. They are read one after the other. */
const smallChunk = Buffer.allocUnsafe(chunkBytes);

/** Reads a file into `chunk`. What it yields is valid until the next piece. */
function* chunksOf(path: string, chunk: Buffer): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk))
      yield chunk.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

function* namesIn(directory: Dir): Generator<string> {
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) yield entry.name;
  } catch {
    // The process has ended.
  } finally {
    directory.closeSync();
  }
}

function orUndefined<Value>(ask: () => Value): Value | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}
