import { isBroadcast, isMulticast, parseIp } from '../address/ip-address.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { describeNetworkError, outcomeOf } from './dial/network-error.ts';
import { type HostAddress, resolveHost } from './dial/resolve-host.ts';
import { assertZone, parseHost, parseTarget } from './dial/target.ts';
import { SmallservdError } from '../errors.ts';
import { libcNeeds } from '../kernel/libc.ts';
import { hasSockets } from '../kernel/sockets.ts';
import { assertWithin, type ClientOptions, withDefaults } from './options.ts';
import { measurePath, type PathMtu } from './mtu/path-mtu.ts';
import { PathProber, probeBounds, probeHeaderBytes } from './mtu/path-prober.ts';
import { formatDuration } from '../units.ts';

export interface MtuOptions extends ClientOptions {
  /** Use ICMP echo instead of a UDP echo service. Needs CAP_NET_RAW. Default false. */
  readonly icmp?: boolean | undefined;
  /** How often a packet is sent that is not answered, 1 to 20. Default 3. */
  readonly tries?: number | undefined;
  /** Returns numbers from 0 up to, but not including, 1, for the closed port. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Called with the address, and before each packet with its size. */
  readonly observe?: ((event: MtuEvent) => void) | undefined;
}

export type MtuEvent =
  | { readonly kind: 'started'; readonly address: string }
  | { readonly kind: 'probe'; readonly bytes: number };

/** Sizes are those of IP packets, with all headers. */
export interface MtuResult extends PathMtu {
  readonly address: string;
  /** The port of the UDP echo service. Undefined with ICMP. */
  readonly port: number | undefined;
  readonly protocol: 'udp' | 'icmp';
  /** Bytes of each packet that are headers, of IP and of UDP or ICMP. */
  readonly headerBytes: number;
  /** Packets sent. */
  readonly probes: number;
  readonly elapsedMs: number;
}

/** Where traceroute(8) expects no service. */
const closedPorts = { first: 33_434, count: 100 } as const;

/**
 * Measures the largest packets that the path to a host and back takes, with a UDP echo service (RFC 862) or ICMP echo,
 * and never believes what the kernel has cached. Throws `HOST_NOT_FOUND`, `CONNECT_FAILED`, `NO_ANSWER` if not even a
 * small packet is answered, `ANSWER_WRONG`, `RAW_SOCKET_NOT_PERMITTED`, `INTERRUPTED` and `ARGUMENT_INVALID`.
 */
export async function mtu(host: string, options: MtuOptions = {}): Promise<MtuResult> {
  const { icmp = false, tries = 3, random = Math.random } = options;
  assertWithin('the number of tries', tries, 1, 20);
  if (!hasSockets) throw new SmallservdError('ARGUMENT_INVALID', `mtu needs ${libcNeeds}`);
  if (icmp && options.pathControls?.sourcePort !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', 'ICMP has no source port');
  const settings = { ...withDefaults(options), tries };
  const target = icmp ? { host: parseHost(host), port: undefined } : parseTarget(host, 'udp', 'echo');
  assertZone(target.host, host);
  const addresses = await resolveHost(target.host, settings.family, settings);
  if (addresses.some(isGroup))
    throw new SmallservdError('ARGUMENT_INVALID', `${target.host} is multicast or broadcast: expected one host`);
  const closedPort = closedPorts.first + Math.floor(random() * closedPorts.count);
  const { clock } = settings;
  const measure = async (address: HostAddress): Promise<MtuResult> => {
    const beganMs = clock.monotonicMs();
    let probes = 0;
    const sent = (bytes: number): void => {
      probes += 1;
      options.observe?.({ kind: 'probe', bytes });
    };
    const prober = openProber(address, { ...settings, echoPort: target.port, closedPort, sent });
    try {
      options.observe?.({ kind: 'started', address: address.address });
      const { leastBytes, mostBytes } = probeBounds(address.family);
      const contact = await prober.whole(leastBytes);
      if (contact.kind !== 'answered') throw silence(prober.name, settings.timeoutMs);
      const path = await measurePath(prober, leastBytes, mostBytes);
      return {
        address: address.address,
        port: target.port,
        protocol: icmp ? 'icmp' : 'udp',
        headerBytes: probeHeaderBytes(address.family),
        ...path,
        probes,
        elapsedMs: clock.monotonicMs() - beganMs,
      };
    } finally {
      prober.close();
    }
  };
  return firstToTake(addresses, measure, settings.attempts);
}

function openProber(address: HostAddress, settings: ConstructorParameters<typeof PathProber>[1]): PathProber {
  try {
    return new PathProber(address, settings);
  } catch (cause) {
    const outcome = outcomeOf(cause);
    const reason = describeNetworkError(cause, address.address);
    if (settings.echoPort === undefined && isNotPermitted(cause))
      throw new SmallservdError('RAW_SOCKET_NOT_PERMITTED', notPermitted, { cause });
    throw new SmallservdError('CONNECT_FAILED', `cannot send to ${address.address}: ${reason}`, { cause, outcome });
  }
}

function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPERM';
}

/** CAP_NET_RAW, see capabilities(7). */
const notPermitted =
  'a raw socket is not permitted: --icmp needs root or the capability CAP_NET_RAW; a UDP echo service needs neither';

function silence(name: string, timeoutMs: number): SmallservdError {
  return new SmallservdError('NO_ANSWER', `no echo from ${name} within ${formatDuration(timeoutMs)}`);
}

function isGroup({ address }: HostAddress): boolean {
  const ip = parseIp(address);
  return ip !== undefined && (isMulticast(ip) || isBroadcast(ip));
}
