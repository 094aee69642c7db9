/** A client and a server with a router between them, and what a test does with them. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientProgram, Network, temporaryDirectory } from './machine.ts';
import { DaemonProgram, run } from './program.ts';

export const families = ['ipv4', 'ipv6'] as const;
export type Family = (typeof families)[number];
export const echoPort = 1201;
export const server = { ipv4: '203.0.113.1', ipv6: '2001:db8:3::1' } as const;
export const router = { ipv4: '192.0.2.254', ipv6: '2001:db8:2::fe' } as const;
/** The client has a route there, and the router has none. */
export const nowhere = { ipv4: '198.51.100.1', ipv6: '2001:db8:9::1' } as const;

export function at(addresses: Readonly<Record<Family, string>>, family: Family, port: number): string {
  return family === 'ipv6' ? `[${addresses.ipv6}]:${port}` : `${addresses.ipv4}:${port}`;
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly complaints: string;
}

/** `smallserv ARGS` in a network, to its end. */
export async function smallserv(network: Network, ...args: readonly string[]): Promise<Ended> {
  const { ended, output, complaints } = await run(network.inside([...clientProgram, ...args]));
  return { code: (await ended).code, output, complaints };
}

export function nft(network: Network, rules: string): void {
  const [command = '', ...args] = network.inside(['nft', '--file', '-']);
  execFileSync(command, args, { input: rules });
}

interface Path {
  readonly client: Network;
  readonly between: Network;
  /** The interface of the client. */
  readonly uplink: string;
}

/** A client, and behind a router and a link of this MTU a server with an echo service and these. */
export async function makePath(mtu = 1500, services: object = {}): Promise<Path> {
  const [client, between, far] = [Network.make(), Network.make(), Network.make()];
  const uplink = client.join(between, ['192.0.2.1/24', '2001:db8:2::1/64'], [`${router.ipv4}/24`, `${router.ipv6}/64`]);
  const link = between.join(far, ['203.0.113.254/24', '2001:db8:3::fe/64'], [`${server.ipv4}/24`, `${server.ipv6}/64`]);
  between.ip('link', 'set', link.near, 'mtu', String(mtu));
  far.ip('link', 'set', link.far, 'mtu', String(mtu));
  between.set('net/ipv4/ip_forward', 1);
  between.set('net/ipv6/conf/all/forwarding', 1);
  // An ICMP error for each packet, not only now and then.
  between.set('net/ipv4/icmp_ratelimit', 0);
  between.set('net/ipv6/icmp/ratelimit', 0);
  for (const gateway of Object.values(router)) client.ip('route', 'add', 'default', 'via', gateway);
  for (const gateway of ['203.0.113.254', '2001:db8:3::fe']) far.ip('route', 'add', 'default', 'via', gateway);
  const config = join(temporaryDirectory(), 'smallservd.yaml');
  const listen = [`tcp://*:${echoPort}`, `udp://*:${echoPort}`];
  writeFileSync(config, JSON.stringify({ workers: 0, services: { echo: { listen }, ...services } }));
  await new DaemonProgram(['--config', config], (argv) => far.inside(argv)).ready();
  for (const family of families) {
    // The first packets may be lost: a link-local address of the router may be tentative.
    for (let tries = 0; (await smallserv(client, 'echo', '-c', '1', at(server, family, echoPort))).code !== 0; )
      if (++tries === 10) throw new Error(`no answer over ${family}`);
  }
  return { client, between, uplink: uplink.near };
}
