/** Attacks 3 and 4: sources that no client has. */
import type { DaemonProgram } from '../system/program.ts';
import { broadcastAddress, type Forger, forgerAddress } from './forger.ts';
import { type Flood, trafficOf } from './packets.ts';

/** The ports of the services that are attacked: those that the inetds have, too. */
export const oddPorts = { echo: 7, daytime: 13, chargen: 19, time: 37 } as const;

export interface OddSource {
  readonly name: string;
  readonly from: string;
  /** The kernel of the forger would put another source in its place. */
  readonly isReplaced?: true;
  /** The kernel of the server does not let it through. */
  readonly isFiltered?: true;
}

export const oddAddresses: readonly OddSource[] = [
  { name: `the broadcast address of its interface (${broadcastAddress})`, from: broadcastAddress },
  { name: '255.255.255.255', from: '255.255.255.255', isFiltered: true },
  { name: 'multicast (224.0.0.1)', from: '224.0.0.1', isFiltered: true },
  { name: 'multicast (239.255.255.250)', from: '239.255.255.250', isFiltered: true },
  { name: '0.0.0.0', from: '0.0.0.0', isReplaced: true, isFiltered: true },
  { name: 'class E (240.0.0.1)', from: '240.0.0.1' },
  { name: 'class E (255.255.255.254)', from: '255.255.255.254' },
];

/** Datagrams from each such source to each service. */
export const oddCount = 100;

/** The answers to datagrams from port 0 of a machine that could have sent them. */
export async function answersToPortZero(forger: Forger): Promise<number> {
  return await answersTo(forger, { from: forgerAddress, sourcePort: 0 });
}

/** The answers to datagrams from an address that is nobody's. */
export async function answersToAddress(forger: Forger, { from, isReplaced }: OddSource): Promise<number> {
  return await answersTo(forger, { from, ...(isReplaced && { through: forger.throughCable() }) });
}

/** The answers of echo to datagrams that all machines of the link get. */
export async function answersToBroadcast(forger: Forger): Promise<number> {
  const toAll = { to: broadcastAddress, through: forger.throughCable() };
  return await answersTo(forger, { from: forgerAddress, sourcePort: 45_678, ...toAll }, [oddPorts.echo]);
}

async function answersTo(
  forger: Forger,
  source: Partial<Flood>,
  ports: readonly number[] = Object.values(oddPorts),
): Promise<number> {
  const capture = await forger.watch(ports, async () => {
    for (const port of ports) await forger.send({ port, count: oddCount, rate: 10_000, length: 4, ...source });
  });
  const traffic = ports.map((port) => trafficOf(capture, port));
  const sent = traffic.reduce((sum, { to }) => sum + to.packets, 0);
  if (sent !== ports.length * oddCount) throw new Error(`${sent} datagrams went out`);
  return traffic.reduce((sum, { from }) => sum + from.packets, 0);
}

/** Of all services. */
type Drops = Readonly<Partial<Record<string, number>>>;

interface StateLine {
  readonly counters: Readonly<
    Record<string, { readonly datagram: { readonly received: number; readonly dropped: Drops } }>
  >;
}

/** How many datagrams the daemon has received, and dropped for that reason, by its state line. */
export async function stateOf(
  daemon: DaemonProgram,
  reason: string,
): Promise<{ readonly received: number; readonly dropped: number }> {
  const states = (): readonly StateLine[] =>
    daemon.lines.filter(({ msg }) => msg === 'state') as unknown as readonly StateLine[];
  const before = states().length;
  daemon.signal('SIGUSR2');
  await daemon.until(() => states().length > before || !daemon.running, 'the state');
  const services = Object.values(states()[before]?.counters ?? {});
  return {
    received: services.reduce((sum, { datagram }) => sum + datagram.received, 0),
    dropped: services.reduce((sum, { datagram }) => sum + (datagram.dropped[reason] ?? 0), 0),
  };
}

/** How many of the services still answer an honest client. */
export async function stillAnswering(forger: Forger): Promise<number> {
  return await forger.answering(Object.values(oddPorts));
}
