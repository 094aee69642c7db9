/** Determines from the kernel and /proc which process owns the socket that a client has reached. proc(5) */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { endianness, networkInterfaces } from 'node:os';
import { basename } from 'node:path';
import { type IpAddress, isIpv4, isLoopback, isUnspecified, parseIp } from '../../address/ip-address.ts';
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

/** Access to the system. Paths are relative to /proc; undefined means missing or not readable by us. */
export interface ProcFiles {
  read(path: string): string | undefined;
  link(path: string): string | undefined;
  list(path: string): readonly string[] | undefined;
  /** The addresses of this machine, including loopback. */
  readonly ownAddresses: readonly string[];
  /** The user id of this process. */
  readonly uid: number;
}

/** pid_max on 64-bit Linux. */
const largestPid = 2 ** 22;
const listenState = '0A';

/**
 * Returns why the process is not the smallservd listening where the client is connected, or undefined if it is. The
 * listener must be the process or, as under a root supervisor, a child of it.
 */
export function whyNotListener(pid: number, at: ConnectedTo, proc: ProcFiles): string | undefined {
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
  if (listener === pid || parseStatus(proc.read(`${listener}/status`) ?? '')?.parent === pid) return undefined;
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
  const held = [pid, ...childrenOf(pid, proc)].map((each) => socketsOf(each, proc));
  if (held.some((inodes) => sockets.some(({ inode }) => inodes?.has(inode) === true))) return undefined;
  if (held.every((inodes) => inodes !== undefined)) return 'it does not hold the socket';
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
  const tables = { ipv4: proc.read('self/net/tcp') ?? '', ipv6: proc.read('self/net/tcp6') ?? '' };
  return tcpListeners(tables, address, at.port, endianness());
}

/**
 * Returns the listening sockets that receive connections to an address, from /proc/net/tcp and tcp6: those bound to the
 * address itself, else those bound to all addresses. A socket bound to `::` also receives IPv4 connections unless set
 * to IPv6 only, which the table does not show.
 */
export function tcpListeners(
  tables: { readonly ipv4: string; readonly ipv6: string },
  address: IpAddress,
  port: number,
  order: 'LE' | 'BE',
): readonly ListeningSocket[] {
  const rows = [tables.ipv4, tables.ipv6].map((table) =>
    parseTcpTable(table, order).filter((row) => row.port === port),
  );
  const [ipv4 = [], ipv6 = []] = rows;
  const candidates = isIpv4(address) ? [ipv4, ipv6] : [ipv6];
  const exact = candidates.map((table) => table.filter((row) => isSame(row.address, address)));
  const wildcard = candidates.map((table) => table.filter((row) => isUnspecified(row.address)));
  return [...exact, ...wildcard].find((found) => found.length > 0) ?? [];
}

interface TcpListener extends ListeningSocket {
  readonly address: IpAddress;
  readonly port: number;
}

function parseTcpTable(table: string, order: 'LE' | 'BE'): readonly TcpListener[] {
  return table.split('\n').flatMap((line) => {
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
    const [, local = '', , state, , , , uid = '', , inode = ''] = line.trim().split(/\s+/);
    const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local);
    if (match === null || state !== listenState || !/^\d+$/.test(uid) || !/^[1-9]\d*$/.test(inode)) return [];
    // The kernel prints the four network-order bytes as one number in host byte order.
    const words = (match[1]?.match(/.{8}/g) ?? []).map((hex) => {
      const bytes = Buffer.from(hex, 'hex');
      return order === 'LE' ? bytes.readUInt32LE() : bytes.readUInt32BE();
    });
    const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words.length === 1 ? [0, 0, 0xffff, ...words] : words;
    return [{ address: { w0, w1, w2, w3 }, port: Number.parseInt(match[2] ?? '', 16), uid: Number(uid), inode }];
  });
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

/** Returns the inodes of a process's sockets, or undefined if its descriptors are hidden. */
function socketsOf(pid: number, proc: ProcFiles): ReadonlySet<string> | undefined {
  const links = proc.list(`${pid}/fd`)?.map((fd) => proc.link(`${pid}/fd/${fd}`));
  if (links === undefined || (links.length > 0 && links.every((link) => link === undefined))) return undefined;
  const inodes = links.map((link) => /^socket:\[(\d+)\]$/.exec(link ?? '')?.[1]);
  return new Set(inodes.filter((inode) => inode !== undefined));
}

function childrenOf(pid: number, proc: ProcFiles): readonly number[] {
  return (proc.list('.') ?? [])
    .filter((name) => /^\d+$/.test(name) && parseStatus(proc.read(`${name}/status`) ?? '')?.parent === pid)
    .map(Number);
}

function isSame(one: IpAddress | undefined, other: IpAddress): boolean {
  return one !== undefined && one.w0 === other.w0 && one.w1 === other.w1 && one.w2 === other.w2 && one.w3 === other.w3;
}

/** The real system. */
export const systemProcFiles: ProcFiles = {
  read: (path) => orUndefined(() => readFileSync(`/proc/${path}`, 'utf8')),
  link: (path) => orUndefined(() => readlinkSync(`/proc/${path}`)),
  list: (path) => orUndefined(() => readdirSync(`/proc/${path}`)),
  get ownAddresses() {
    const interfaces = orUndefined(() => Object.values(networkInterfaces())) ?? [];
    return interfaces.flatMap((each) => each ?? []).map(({ address }) => address);
  },
  get uid() {
    return process.geteuid?.() ?? -1;
  },
};

function orUndefined<Value>(ask: () => Value): Value | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}
