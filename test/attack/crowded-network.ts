/**
 * Attack 10, from one network: somebody who has an IPv6 /56, as every customer of a provider does, holds all the places
 * of a service.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DaemonProcess, root } from '../support/daemon-process.ts';
import { Network } from '../system/machine.ts';
import { Program } from '../system/program.ts';
import { type Bound, holds } from './figures.ts';
import { sockets } from './sockets.ts';
import { countsThat, streamCounts, total } from './stream-counts.ts';

export interface CrowdedNetwork {
  /** Of the daemon. */
  readonly workers: 0 | 2;
  /** `100%`: none, so that all places are taken. */
  readonly networkShare: '25%' | '100%';
}

const attack = 10;
const port = 7007;
const server = '2001:db8:ffff::1';
/** A /64 each. */
const crowd = Array.from({ length: 10 }, (_, index) => `2001:db8:0:10${index}::1`);
/** In another /48. */
const visitor = '2001:db8:1::1';
/** Fewer than a worker's part of `maxConnectionsPerSource`: the system may deal them all to one. */
const visitors = 40;
/** By default. */
const maxConnections = 1000;
const maxConnectionsPerSource = 100;
const all: Bound = { atLeast: 100, atMost: 100, unit: '%' };

/**
 * Ten sources of a /56 take all the places they can get; then clients of another network come. All limits but
 * `networkShare` are the defaults.
 */
export async function crowdFromOneNetwork({ workers, networkShare }: CrowdedNetwork): Promise<void> {
  const network = Network.make();
  for (const each of [server, ...crowd, visitor]) network.ip('address', 'add', `${each}/128`, 'dev', 'lo', 'nodad');
  const echo = {
    listen: [`tcp://[${server}]:${port}`],
    networkShare: { ipv6Prefix56: networkShare, ipv6Prefix48: '100%' },
  };
  const [program = '', ...args] = network.inside([process.execPath, join(root, 'dist/smallservd.js')]);
  const daemon = await DaemonProcess.serve(
    { workers, sockets, log: { connections: 'off' }, defaults: { exempt: [] }, services: { echo } },
    { command: [program, ...args] },
  );
  const slots = String(2 * maxConnectionsPerSource);
  const holders = new Program(network.inside([...script('place-holders.js'), server, String(port), slots, ...crowd]));
  await holders.says(/held/, 60_000);
  const share = networkShare === '100%' ? maxConnections : maxConnections / 4;
  // A worker that was dealt too few connections gets the rest of its own at the next attempts.
  const { echo: before } = await countsThat(daemon, (counts) => (counts['echo']?.active ?? 0) >= share);
  const name = (what: string): string =>
    `workers ${workers}, ten /64 of one /56 (networkShare ${networkShare}): ${what}`;
  holds(attack, name('places they hold'), before?.active ?? 0, { atLeast: share, atMost: share });

  const visit = new Program(
    network.inside([...script('visitors.js'), visitor, server, String(port), String(visitors)]),
  );
  await visit.end(60_000);
  const { asked, served } = JSON.parse(visit.output) as { readonly asked: number; readonly served: number };
  holds(attack, name("another network's clients that are served"), (served / asked) * 100, all);
  const { echo: after } = await streamCounts(daemon);
  const accounted = (after?.active ?? 0) + total(after?.closed ?? {});
  holds(attack, name('accepted clients that are unaccounted for'), (after?.accepted ?? 0) - accounted, {
    atLeast: 0,
    atMost: 0,
  });
}

function script(name: string): readonly string[] {
  return [process.execPath, fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))];
}
