import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeProgram } from './nodes.ts';
import type { Programs } from './programs.ts';
import { type Ports, serviceKinds } from './services.ts';

export type Family = 'smallservd' | 'c' | 'go' | 'node' | 'xinetd';

/** A server to be measured. */
export interface Peer {
  /** Such as smallservd-26. */
  readonly id: string;
  readonly family: Family;
  /** The major version of its Node. */
  readonly nodeMajor?: number;
  /** For the report. */
  readonly label: string;
  /** Worker processes, for smallservd. */
  readonly workers?: number;
  /** Returns the programs to start, each with its arguments. */
  readonly commands: (ports: Ports, directory: string) => readonly (readonly string[])[];
}

/** The peers that this machine can run, smallservd first. */
export function listPeers(programs: Programs, nodes: readonly NodeProgram[]): readonly Peer[] {
  const peers: Peer[] = [
    ...nodes.map((node) => smallservd(node, 1)),
    ...nodes.slice(0, 1).map((node) => smallservd(node, 2)),
  ];
  const { epoll, go, xinetd } = programs;
  if (epoll !== undefined) {
    peers.push({ id: 'c', family: 'c', label: 'C, epoll', commands: (ports) => [[epoll, ...pairs(ports)]] });
  }
  if (go !== undefined) {
    peers.push({
      id: 'go',
      family: 'go',
      label: 'Go, the textbook',
      commands: (ports) => serviceKinds.map((kind) => [go[kind], String(ports[kind])]),
    });
  }
  for (const { path, major } of nodes) {
    peers.push({
      id: `node-${major}`,
      family: 'node',
      nodeMajor: major,
      label: `bare Node ${major}`,
      commands: (ports) => [[path, join('bench', 'peers', 'bare.js'), ...pairs(ports)]],
    });
  }
  if (xinetd !== undefined) {
    peers.push({
      id: 'xinetd',
      family: 'xinetd',
      label: 'xinetd',
      commands(ports, directory) {
        const config = join(directory, 'xinetd.conf');
        writeFileSync(config, xinetdConfig(ports));
        return [[xinetd, '-dontfork', '-f', config, '-filelog', join(directory, 'xinetd.log')]];
      },
    });
  }
  return peers;
}

function smallservd({ path, major }: NodeProgram, workers: number): Peer {
  return {
    id: workers === 1 ? `smallservd-${major}` : `smallservd-${major}-workers-${workers}`,
    family: 'smallservd',
    nodeMajor: major,
    workers,
    label: `smallservd, Node ${major}${workers === 1 ? '' : `, ${workers} workers`}`,
    commands(ports) {
      const sets = [
        `workers=${workers}`,
        `services.echo.listen=tcp4://127.0.0.1:${ports['tcp-echo']},udp4://127.0.0.1:${ports['udp-echo']}`,
        ...(['daytime', 'time', 'chargen'] as const).map(
          (kind) => `services.${kind}.listen=tcp4://127.0.0.1:${ports[kind]}`,
        ),
      ].flatMap((set) => ['--set', set]);
      return [[path, join('dist', 'smallservd.js'), '--config', join('bench', 'smallservd.yaml'), ...sets]];
    },
  };
}

function pairs(ports: Ports): readonly string[] {
  return serviceKinds.map((kind) => `${kind}=${ports[kind]}`);
}

/** Its internal services with limits out of reach. See xinetd.conf(5). */
function xinetdConfig(ports: Ports): string {
  const services = serviceKinds.map((kind) => {
    const isUdp = kind === 'udp-echo';
    return `service ${kind.replace(/^\w+-/, '')}
{
  id = ${kind}
  type = INTERNAL UNLISTED
  bind = 127.0.0.1
  port = ${ports[kind]}
  socket_type = ${isUdp ? 'dgram' : 'stream'}
  protocol = ${isUdp ? 'udp' : 'tcp'}
  user = nobody
  wait = ${isUdp ? 'yes' : 'no'}
}
`;
  });
  return `defaults
{
  instances = UNLIMITED
  per_source = UNLIMITED
  cps = 10000000 1
}
${services.join('')}`;
}
