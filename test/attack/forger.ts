/** A machine that forges packets, and the one that it sends them to. */
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/wait.ts';
import { type Cable, Network } from '../system/machine.ts';
import { type Capture, type Flood, PacketProgram, trafficOf } from './packets.ts';

/** The addresses at the ends of the cable, and its broadcast address. */
export const forgerAddress = '10.255.255.1';
export const serverAddress = '10.255.255.2';
export const broadcastAddress = '10.255.255.3';

/** The port that an honest client asks from: one as the system gives them. */
const honestPort = 45_678;

/** A reply is there after this, or there is none. */
const quietMs = 200;

export class Forger {
  readonly network: Network;
  readonly server: Network;
  readonly packets: PacketProgram;
  readonly #cable: Cable;

  /**
   * Two networks and a cable. The forger is the server's gateway: answers go to him, wherever the request seemed to
   * come from. He takes no notice of them.
   */
  constructor() {
    this.packets = PacketProgram.compile();
    this.network = Network.make();
    this.server = Network.make();
    this.#cable = this.network.join(this.server, [`${forgerAddress}/30`], [`${serverAddress}/30`]);
    this.server.ip('route', 'add', 'default', 'via', forgerAddress);
    for (const each of ['all', this.#cable.far]) this.server.set(`net/ipv4/conf/${each}/rp_filter`, 0);
  }

  /**
   * Resolves when the server's link is up: until then Node does not list it, and a daemon that starts does not know its
   * broadcast address.
   */
  async linked(): Promise<void> {
    await until(() => attributeOf(this.server, this.#cable.far, 'operstate') === 'up', 'the link');
  }

  /** What goes over the cable meanwhile, and a moment longer, to and from these ports. */
  async watch(ports: readonly number[], act: () => Promise<unknown>): Promise<Capture> {
    const counter = await this.packets.count(this.network, this.#cable.near, ports);
    await act();
    await pause(quietMs);
    return await counter.stop();
  }

  /** Sends to the server, unless another address is given. */
  async send(flood: Omit<Flood, 'to'> & Partial<Pick<Flood, 'to'>>): Promise<void> {
    await this.packets.send(this.network, { to: serverAddress, ...flood });
  }

  /** `through` for sources that the forger's own kernel would not let out. */
  throughCable(): string {
    return `${this.#cable.near},${attributeOf(this.server, this.#cable.far, 'address')}`;
  }

  /** How many of the services at these ports answer an honest client. */
  async answering(ports: readonly number[]): Promise<number> {
    const capture = await this.watch(ports, async () => {
      for (const port of ports) await this.send({ port, from: forgerAddress, sourcePort: honestPort, length: 4 });
    });
    return ports.filter((port) => trafficOf(capture, port).from.packets > 0).length;
  }
}

/** One of those below /sys/class/net. */
function attributeOf(network: Network, device: string, name: string): string {
  const [command = '', ...args] = network.inside(['cat', `/sys/class/net/${device}/${name}`]);
  return execFileSync(command, args, { encoding: 'utf8' }).trim();
}
