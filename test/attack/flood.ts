/**
 * Attack 6: one source floods a UDP service, while a client in another network of the same prefix length asks it now
 * and then.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { DatagramCounters } from '../../src/server/counters.ts';
import { writeConfig } from '../support/daemon-process.ts';
import { Network } from '../system/machine.ts';
import { DaemonProgram, Program } from '../system/program.ts';
import { compare, holds, holdsExceptWithNode, ours } from './figures.ts';
import { PacketProgram, type Sent } from './packets.ts';
import { sockets } from './sockets.ts';

export interface FloodFromOneSource {
  readonly service: 'echo' | 'daytime';
  readonly workers: 0 | 2;
  /** Packets a second. */
  readonly rate: number;
  /** The kernel wakes the daemon for a wrong checksum, and then discards the datagram. */
  readonly checksums?: 'none' | 'wrong';
  /** For which the client asks; the flood begins before and ends after that. */
  readonly seconds: number;
}

/** What fixtures/well-behaved-client.js prints. */
interface Asked {
  readonly asked: number;
  readonly answered: number;
  readonly slowestMs: number;
  readonly latestMs: number;
}

const attack = 6;
const port = 7007;
const server = '10.66.0.1';
const flooder = '10.66.1.2';
/** In another /24. */
const client = '10.66.2.2';
const questionsPerSecond = 100;
/** Until the client has started, and after its last question. */
const marginSeconds = 2;
const mostLateMs = 250;
/** Workers tell what they have counted once a second. */
const heartbeatMs = 1100;
const wellBehaved = fileURLToPath(new URL('fixtures/well-behaved-client.js', import.meta.url));

/** Sends the flood to a daemon with the limits that it has by default. */
export async function floodFromOneSource({
  service,
  workers,
  rate,
  seconds,
  checksums = 'none',
}: FloodFromOneSource): Promise<void> {
  const packets = PacketProgram.compile();
  const [near, far] = [Network.make(), Network.make()];
  near.join(far, [`${server}/16`], [`${flooder}/16`, `${client}/16`]);
  const config = writeConfig({ workers, sockets, services: { [service]: { listen: [`udp://${server}:${port}`] } } });
  const daemon = new DaemonProgram(['--config', config], (argv) => near.inside(argv));
  await daemon.ready();

  const flood = packets.send(far, {
    from: flooder,
    to: server,
    port,
    // The kernel checks shorter ones when they arrive.
    ...(checksums === 'wrong' ? { length: 400, checksum: 0x1234 } : { length: 64 }),
    rate,
    count: rate * (seconds + marginSeconds),
    seconds: seconds + marginSeconds,
  });
  const { asked, answered, slowestMs } = await askRegularly(far, { from: client, to: server, port, seconds });
  const { sent, seconds: took }: Sent = await flood;
  const { received } = await settledCounters(daemon, service);

  const processes = workers === 0 ? 'one process' : `${workers} workers`;
  const who = `${service}, ${processes}${checksums === 'wrong' ? ', wrong checksums' : ''}`;
  const share = `${who}: requests of another client answered within a second`;
  holds(attack, share, (answered / asked) * 100, { atLeast: 99, unit: '%', digits: 1 });
  holds(attack, `${who}: packets a second of the flood`, sent / took, { atLeast: rate * 0.98, isTime: true });
  const read = ((received - asked) / sent) * 100;
  compare(ours, attack, `${who}: share of these that the daemon read`, read, { unit: '%', digits: 1 });
  compare(ours, attack, `${who}: slowest answer to the other client`, slowestMs, { unit: ' ms', digits: 1 });
}

/** Sources on the server's own link that do not exist, each in another /24: every reply waits for ARP. */
export async function floodFromAbsentNeighbors(rate: number, seconds: number): Promise<void> {
  const packets = PacketProgram.compile();
  const [near, far] = [Network.make(), Network.make()];
  near.join(far, [`${server}/16`], [`${flooder}/16`, `${client}/16`]);
  // In one process: a supervisor would open the socket, and give it a larger send buffer.
  const config = writeConfig({ workers: 0, sockets, services: { echo: { listen: [`udp://${server}:${port}`] } } });
  await new DaemonProgram(['--config', config], (argv) => near.inside(argv)).ready();
  // A host asks for our link address before it sends, and is known by that. This client would do so only if no other
  // address of its host had: then it would get replies by chance until it is found.
  await askRegularly(far, { from: client, to: server, port, seconds: 0.1 });
  const forged = { from: '10.66.10.9', sources: 200, step: 256, sourcePort: 40_000, length: 1400 };
  const count = rate * (seconds + marginSeconds);
  const flood = packets.send(far, { to: server, port, ...forged, rate, count, seconds: seconds + marginSeconds });
  const { asked, answered } = await askRegularly(far, { from: client, to: server, port, seconds });
  await flood;
  const who = `echo, ${rate.toLocaleString('en')}/s from 200 hosts of its link that do not exist`;
  const what = `${who}: requests of another client answered within a second`;
  const bound = { atLeast: 99, unit: '%', digits: 1 };
  holdsExceptWithNode(attack, what, (answered / asked) * 100, bound, 'Node queues replies that wait for ARP');
}

export interface RegularQuestions {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly seconds: number;
}

/** A well-behaved client in that network asks a UDP service a hundred times a second. */
export async function askRegularly(network: Network, questions: RegularQuestions): Promise<Asked> {
  const { from, to, seconds } = questions;
  const args = [from, to, questions.port, questionsPerSecond, seconds].map(String);
  const asking = new Program(network.inside([process.execPath, wellBehaved, ...args]));
  await asking.end(60_000);
  const asked = JSON.parse(asking.output) as Asked;
  expect(asked.latestMs, 'the client itself was kept from asking: no measurement').toBeLessThan(mostLateMs);
  return asked;
}

async function settledCounters(daemon: DaemonProgram, service: string): Promise<DatagramCounters> {
  for (let before = await countersOf(daemon, service); ; ) {
    await new Promise((resolve) => {
      setTimeout(resolve, heartbeatMs);
    });
    const now = await countersOf(daemon, service);
    if (now.received === before.received) return now;
    before = now;
  }
}

async function countersOf(daemon: DaemonProgram, service: string): Promise<DatagramCounters> {
  const states = (): readonly object[] => daemon.lines.filter(({ msg }) => msg === 'state');
  const before = states().length;
  daemon.signal('SIGUSR2');
  await daemon.until(() => states().length > before, 'the state');
  const { counters } = states()[before] as { counters: Readonly<Record<string, { datagram: DatagramCounters }>> };
  return counters[service]?.datagram as DatagramCounters;
}
