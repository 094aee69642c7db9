import type { Peer } from './peers.ts';
import type { ServiceKind } from './services.ts';

/** One kind of load. */
export interface Work {
  readonly name: string;
  readonly title: string;
  /** What the load generator calls it. */
  readonly kind: ServiceKind | 'bulk-echo';
  readonly service: ServiceKind;
  readonly clients: number;
  /** Bytes of a message, or of a write. */
  readonly size: number;
  /** What is counted. */
  readonly unit: 'operations' | 'bytes';
  /** Whether `--quick` measures it. */
  readonly isQuick: boolean;
  /** Families that take part. */
  readonly families: readonly Peer['family'][];
}

const all: Work['families'] = ['smallservd', 'c', 'go', 'node', 'xinetd'];
/**
 * Without xinetd. It needs a process for each of many clients, throws away the datagrams that wait behind one that it
 * answers, and its chargen has 94 characters where RFC 864 shows 95.
 */
const loops: Work['families'] = ['smallservd', 'c', 'go', 'node'];

function echo(clients: number, families: Work['families'], isQuick: boolean): Work {
  const title = `TCP echo, 64 bytes, ${clients.toLocaleString('en')} client${clients === 1 ? '' : 's'}`;
  const load = { kind: 'tcp-echo', service: 'tcp-echo', clients, size: 64, unit: 'operations' } as const;
  return { name: `tcp-echo-${clients}`, title, ...load, isQuick, families };
}

/** All works, in the order of the report. */
export const works: readonly Work[] = [
  echo(1, all, true),
  echo(10, ['smallservd', 'c'], false),
  echo(64, all, true),
  echo(1000, loops, true),
  echo(10_000, loops, false),
  {
    name: 'tcp-echo-16k',
    title: 'TCP echo, 16 KiB, 64 clients',
    kind: 'tcp-echo',
    service: 'tcp-echo',
    clients: 64,
    size: 16_384,
    unit: 'operations',
    isQuick: false,
    families: loops,
  },
  {
    name: 'bulk-echo',
    title: 'TCP bulk echo, 64 KiB a write, 4 clients',
    kind: 'bulk-echo',
    service: 'tcp-echo',
    clients: 4,
    size: 65_536,
    unit: 'bytes',
    isQuick: true,
    families: loops,
  },
  {
    name: 'udp-echo-64',
    title: 'UDP echo, 64 bytes, 64 clients',
    kind: 'udp-echo',
    service: 'udp-echo',
    clients: 64,
    size: 64,
    unit: 'operations',
    isQuick: true,
    families: loops,
  },
  {
    name: 'udp-echo-1400',
    title: 'UDP echo, 1,400 bytes, 64 clients',
    kind: 'udp-echo',
    service: 'udp-echo',
    clients: 64,
    size: 1400,
    unit: 'operations',
    isQuick: false,
    families: loops,
  },
  {
    name: 'daytime',
    title: 'daytime connections, 64 at a time',
    kind: 'daytime',
    service: 'daytime',
    clients: 64,
    size: 1,
    unit: 'operations',
    isQuick: true,
    families: all,
  },
  {
    name: 'time',
    title: 'time connections, 64 at a time',
    kind: 'time',
    service: 'time',
    clients: 64,
    size: 1,
    unit: 'operations',
    isQuick: false,
    families: all,
  },
  {
    name: 'chargen',
    title: 'chargen, 4 clients',
    kind: 'chargen',
    service: 'chargen',
    clients: 4,
    size: 1,
    unit: 'bytes',
    isQuick: true,
    families: loops,
  },
];

/** @throws Error if there is no such work. */
export function workNamed(name: string): Work {
  const work = works.find((each) => each.name === name);
  if (work === undefined) throw new Error(`bench: no work named ${name}`);
  return work;
}

/** The work that compares one worker and two. */
const workersWork = 'tcp-echo-64';

/** Whether a peer takes part in a work. */
export function takesPart(peer: Peer, work: Work): boolean {
  if (!work.families.includes(peer.family)) return false;
  return peer.workers === undefined || peer.workers === 1 || work.name === workersWork;
}
