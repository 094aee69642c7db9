import { createRequire } from 'node:module';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import type { HostAddress } from './resolve-host.ts';

/** A raw socket (raw(7)). Sends packets without an IP header, receives all packets of its protocol on this machine. */
export interface RawSocket {
  /**
   * Resolves with the monotonic time at which the packet was sent, before any answer to it is reported. Throws
   * `CONNECT_FAILED` if the system does not send it.
   */
  send(bytes: Uint8Array, address: string): Promise<number>;
  close(): void;
}

export interface RawSocketHandlers {
  /**
   * A packet arrived, over IPv4 with its IP header. `atMs` is monotonic time, `source` has no zone. The bytes are valid
   * only during the call.
   */
  packet(bytes: Uint8Array, source: string, atMs: number): void;
  /** The socket failed. No further events follow. */
  failed(error: SmallservdError): void;
}

export interface RawSocketOptions {
  readonly family: HostAddress['family'];
  /** Time to live (hop limit over IPv6) of sent packets, 1 to 255. Default: the system's, usually 64. */
  readonly ttl?: number | undefined;
  /** Differentiated services code point, 0 to 63. */
  readonly dscp?: number | undefined;
  /** The name of the interface to use. */
  readonly interface?: string | undefined;
  /** Whether packets must not be fragmented. */
  readonly dontFragment?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** Opens an ICMP or ICMPv6 socket. Throws `RAW_SOCKET_MISSING`, `RAW_SOCKET_NOT_PERMITTED` and `CONNECT_FAILED`. */
export type OpenIcmpSocket = (options: RawSocketOptions, handlers: RawSocketHandlers) => RawSocket;

/** The parts of the raw-socket package in use. The package is optional, so its own types may be missing too. */
interface RawSocketPackage {
  readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number };
  readonly Protocol: { readonly ICMP: number; readonly ICMPv6: number };
  /** Throws an Error with the message from strerror(3) and no code. */
  createSocket(options: {
    readonly addressFamily: number;
    readonly protocol: number;
    readonly bufferSize: number;
  }): PackageSocket;
}

interface PackageSocket {
  on(event: 'message', heard: (bytes: Buffer, source: string) => void): void;
  on(event: 'error', failed: (error: Error) => void): void;
  setOption(level: number, option: number, value: number | Buffer, length?: number): void;
  /** Calls `leaves` just before sending. */
  send(
    bytes: Uint8Array,
    offset: number,
    length: number,
    address: string,
    leaves: () => void,
    sent: (error: Error | null) => void,
  ): void;
  close(): void;
}

/** The largest IP packet. */
const packetBytes = 65_535;
/** By the words of strerror(3): the package does not tell the code. */
const outcomesOfTexts: Readonly<Record<string, Outcome>> = {
  'Message too long': 'too-big',
  'Operation not permitted': 'prohibited',
  'Permission denied': 'prohibited',
};

/** What the system returns after announcing a packet and then dropping it for a bad checksum. */
const nothingThere = 'Resource temporarily unavailable';

export const openIcmpSocket: OpenIcmpSocket = (options, handlers) => {
  const { family, clock = systemClock } = options;
  const raw = loadPackage();
  const socket = createSocket(raw, family);
  let isClosed = false;
  const close = (): void => {
    // Closing it twice, or sending afterwards, would make the package open another socket.
    if (isClosed) return;
    isClosed = true;
    socket.close();
  };
  socket.on('message', (bytes, source) => handlers.packet(bytes, source, clock.monotonicMs()));
  socket.on('error', (cause) => {
    if (isClosed || cause.message === nothingThere) return;
    close();
    handlers.failed(new SmallservdError('CONNECTION_LOST', `the raw socket failed: ${cause.message}`, { cause }));
  });
  try {
    setOptions(socket, options);
  } catch (cause) {
    close();
    const reason = `cannot prepare the raw socket: ${(cause as Error).message}`;
    throw new SmallservdError('CONNECT_FAILED', reason, { cause, outcome: 'failed' });
  }
  const send = async (bytes: Uint8Array, address: string): Promise<number> =>
    new Promise((resolve, reject) => {
      if (isClosed) return reject(new SmallservdError('CONNECTION_LOST', 'the raw socket is closed'));
      let leftAtMs = 0;
      const leaves = (): void => {
        leftAtMs = clock.monotonicMs();
      };
      socket.send(bytes, 0, bytes.length, address, leaves, (cause) => {
        if (cause === null) resolve(leftAtMs);
        else {
          const message = `cannot send to ${address}: ${cause.message}`;
          reject(new SmallservdError('CONNECT_FAILED', message, { cause, outcome: outcomesOfTexts[cause.message] }));
        }
      });
    });
  return { send, close };
};

// Linux: asm-generic/socket.h, linux/in.h, linux/in6.h. The package knows but a few of them.
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const levels = { ipv4: 0, ipv6: 41 } as const;
/** IP_TTL and IPV6_UNICAST_HOPS. */
const ttlOption = { ipv4: 2, ipv6: 16 } as const;
/** IP_TOS and IPV6_TCLASS. */
const trafficClassOption = { ipv4: 1, ipv6: 67 } as const;
/** IP_MTU_DISCOVER and IPV6_MTU_DISCOVER. */
const mtuDiscoverOption = { ipv4: 10, ipv6: 23 } as const;
const PMTUDISC_DO = 2;

function setOptions(socket: PackageSocket, options: RawSocketOptions): void {
  const { family, ttl, dscp, interface: name, dontFragment = false } = options;
  if (ttl !== undefined) socket.setOption(levels[family], ttlOption[family], ttl);
  if (dscp !== undefined) socket.setOption(levels[family], trafficClassOption[family], dscp << 2);
  if (dontFragment) socket.setOption(levels[family], mtuDiscoverOption[family], PMTUDISC_DO);
  if (name === undefined) return;
  const bytes = Buffer.from(`${name}\0`);
  socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, bytes, bytes.length);
}

/** Loads the package on first use. Node caches it, and loading the addon twice would fail. */
function loadPackage(): RawSocketPackage {
  try {
    return createRequire(import.meta.url)('raw-socket') as RawSocketPackage;
  } catch (cause) {
    throw new SmallservdError('RAW_SOCKET_MISSING', missing(cause), { cause });
  }
}

function createSocket(raw: RawSocketPackage, family: HostAddress['family']): PackageSocket {
  const { AddressFamily: families, Protocol: protocols } = raw;
  const addressFamily = family === 'ipv6' ? families.IPv6 : families.IPv4;
  const protocol = family === 'ipv6' ? protocols.ICMPv6 : protocols.ICMP;
  try {
    return raw.createSocket({ addressFamily, protocol, bufferSize: packetBytes });
  } catch (cause) {
    const { message } = cause as Error;
    if (/not permitted|denied/i.test(message))
      throw new SmallservdError('RAW_SOCKET_NOT_PERMITTED', notPermitted, { cause });
    throw new SmallservdError('CONNECT_FAILED', `cannot open a raw socket: ${message}`, { cause });
  }
}

const unprivilegedWay =
  'measure with `smallserv echo HOST --count 5`, which needs no privileges, but HOST must run an echo service';

/** CAP_NET_RAW, see capabilities(7). */
const notPermitted = `a raw socket is not permitted: it needs root or the capability CAP_NET_RAW. Do one of these:
  1. run it as root: sudo smallserv ping HOST
  2. grant only that capability, for one run:
       sudo setpriv --reuid $(id -u) --regid $(id -g) --clear-groups --inh-caps +net_raw --ambient-caps +net_raw smallserv ping HOST
     or for everything this Node.js binary runs, until it is replaced: sudo setcap cap_net_raw+ep "$(readlink -f "$(command -v node)")"
  3. ${unprivilegedWay}`;

function missing(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = code === 'MODULE_NOT_FOUND' ? 'it is not installed' : (message.split('\n')[0] ?? '');
  return `the optional addon raw-socket cannot be loaded: ${reason}. Do one of these:
  1. install it where smallservd is installed: npm install --include=optional
     if it has to be built, install a compiler first: sudo apt-get install g++ make python3, then npm rebuild raw-socket
  2. use a Node.js version that has a prebuilt binary: 20 or 22, on Linux with glibc or musl
  3. ${unprivilegedWay}`;
}
