import { beforeEach, describe, expect, it } from 'vitest';
import { ListenerTable } from '../../../../src/server/supervisor/listener-table.ts';
import type { BoundAddress } from '../../../../src/server/transport/listener.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';

const tcp = { transport: 'tcp', family: 'ipv4', address: '127.0.0.1' } as const;
const udp = { transport: 'udp', family: 'ipv4', address: '127.0.0.1' } as const;

const plan: readonly PlannedListener[] = [
  { id: 0, service: 'echo', text: 'tcp://127.0.0.1:0', optional: false, target: { ...tcp, port: 0 } },
  { id: 1, service: 'echo', text: 'udp://127.0.0.1:0', optional: false, target: { ...udp, port: 0 } },
  { id: 2, service: 'time', text: 'udp://127.0.0.1:1237', optional: false, target: { ...udp, port: 1237 } },
  {
    id: 3,
    service: 'time',
    text: 'unix:///run/time',
    optional: false,
    target: { transport: 'unix', path: '/run/time', access: { mode: 0o660, uid: 0, gid: 0 } },
  },
  { id: 4, service: 'qotd', text: 'fd://9', optional: false, target: { transport: 'udp', family: 'ipv4', fd: 9 } },
  { id: 5, service: 'echo', text: 'fd://7', optional: false, target: { transport: 'udp', family: 'ipv6', fd: 7 } },
  { id: 6, service: 'qotd', text: 'tcp6://localhost:0', optional: true, target: { ...tcp, port: 0, address: '::1' } },
];

function at(transport: 'tcp' | 'udp' | 'unix', port: number, address = '127.0.0.1'): BoundAddress {
  return { transport, address, port };
}

const all = new Set(['echo', 'time', 'qotd']);
const none = new Set<string>();

function ids(planned: readonly PlannedListener[]): readonly number[] {
  return planned.map(({ id }) => id);
}

let table: ListenerTable;

beforeEach(() => {
  table = new ListenerTable(plan);
});

describe('before anything is open', () => {
  it('knows the services with UDP sockets, in the order of the plan, each once', () => {
    expect(table.datagramServices).toEqual(['echo', 'time', 'qotd']);
  });

  it('knows which inherited UDP sockets the workers get copies of', () => {
    expect(table.inheritedDatagrams).toEqual([9, 7]);
    expect(table.hasInheritedStreams).toBe(false);
  });

  it('an inherited stream socket', () => {
    const inherited = { ...plan[0], target: { transport: 'tcp', fd: 3 } } as PlannedListener;
    expect(new ListenerTable([inherited]).hasInheritedStreams).toBe(true);
  });

  it('nothing runs', () => {
    expect(table.running).toEqual([]);
    expect(table.datagramPorts).toEqual([1237]);
    expect(ids(table.skipped)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('toOpen', () => {
  it('keeps from the workers whom the file of a UNIX socket is for: they do not make it', () => {
    const unix = table.toOpen(none, { streams: true, when: 'any' }).find(({ id }) => id === 3);
    expect(unix?.target).toEqual({ transport: 'unix', path: '/run/time' });
  });

  it.each<[string, ReadonlySet<string>, boolean, number[]]>([
    ['a worker that starts: all streams, its own datagram services', new Set(['time']), true, [0, 2, 3, 6]],
    ['a worker that gains a service: its datagram sockets alone', new Set(['echo']), false, [1, 5]],
    ['a worker without datagram services', none, true, [0, 3, 6]],
    ['the only worker', all, true, [0, 1, 2, 3, 4, 5, 6]],
    ['nothing to open', none, false, []],
  ])('%s', (_case, services, streams, expected) => {
    expect(ids(table.toOpen(services, { streams, when: 'any' }))).toEqual(expected);
  });

  it("inherited UDP sockets are the worker's own copies, from descriptor 5 on", () => {
    const fds = table
      .toOpen(all, { streams: false, when: 'any' })
      .flatMap(({ target }) => ('fd' in target ? [target.fd] : []));
    expect(fds).toEqual([5, 6]);
  });
});

describe('record', () => {
  beforeEach(() => {
    table.record([
      { id: 0, bound: at('tcp', 40_001) },
      { id: 1, bound: at('udp', 40_002) },
      { id: 3, bound: at('unix', 0, '/run/time') },
      { id: 6, bound: null },
    ]);
  });

  it('tells where each listener is bound, in the order of the plan', () => {
    expect(table.running).toEqual([
      { service: 'echo', ...at('tcp', 40_001) },
      { service: 'echo', ...at('udp', 40_002) },
      { service: 'time', ...at('unix', 0, '/run/time') },
    ]);
    expect(ids(table.skipped)).toEqual([2, 4, 5, 6]);
    expect(table.datagramPorts).toEqual([1237, 40_002]);
  });

  it.each<[string, number, BoundAddress | null, boolean]>([
    ['a UDP port that is new', 2, at('udp', 1237), true],
    ['a UDP port that is known', 1, at('udp', 40_002), false],
    ['a TCP port', 0, at('tcp', 40_001), false],
    ['a family that is missing', 6, null, false],
  ])('says whether a UDP port is new: %s', (_case, id, bound, fresh) => {
    expect(table.record([{ id, bound }])).toBe(fresh);
  });

  it('a UDP port that the system chose is asked for by number from then on, a shared TCP port is not', () => {
    const ports = table
      .toOpen(all, { streams: true, when: 'any' })
      .flatMap(({ target }) => ('port' in target ? [target.port] : []));
    expect(ports).toEqual([0, 40_002, 1237, 0]);
  });

  it('when no worker is left, all chosen ports are asked for by number', () => {
    table.pinPorts();
    const ports = table
      .toOpen(all, { streams: true, when: 'any' })
      .flatMap(({ target }) => ('port' in target ? [target.port] : []));
    expect(ports).toEqual([40_001, 40_002, 1237, 0]);
    expect(table.running).toHaveLength(3);
  });

  it('knows the UDP ports of the plan before they are open', () => {
    expect(new ListenerTable(plan).datagramPorts).toContain(1237);
  });

  it('a service none of whose listeners is open is unserved, whichever worker was to open them', () => {
    const services = ['echo', 'echo', 'time'];
    const two = new ListenerTable(plan.slice(0, 3).map((each, id) => ({ ...each, id, service: services[id] ?? '' })));
    two.record([
      { id: 0, bound: null },
      { id: 1, bound: at('tcp', 40_001) },
    ]);
    expect(two.unserved?.id).toBe(2);
    two.record([{ id: 2, bound: at('tcp', 40_002) }]);
    expect(two.unserved).toBeUndefined();
  });

  it('leaves the plan as it was', () => {
    table.pinPorts();
    table.toOpen(all, { streams: true, when: 'any' });
    expect(plan[1]?.target).toEqual({ ...udp, port: 0 });
    expect(plan[4]?.target).toEqual({ transport: 'udp', family: 'ipv4', fd: 9 });
  });

  it('a port that the system chose outlives a second reload that comes before the first has taken it over', () => {
    const third = table.successor(plan).successor(plan);
    const udpOfEcho = third.toOpen(all, { streams: false, when: 'late' }).find(({ id }) => id === 1);
    expect(udpOfEcho?.target).toMatchObject({ port: 40_002 });
  });
});

describe('what a worker asks the primary for', () => {
  const ask = { index: 0, address: '127.0.0.1', port: 0, addressType: 4, fd: undefined, flags: 0 } as const;
  const byDescriptor = { index: 0, address: null, port: null, addressType: null, fd: 3, flags: undefined } as const;

  it.each([
    ['a TCP listener', ask, true],
    ['a TCP listener the tenth time', { ...ask, index: 10 }, true],
    ['a TCP listener of another port', { ...ask, port: 22 }, false],
    ['a TCP listener without a port', { ...ask, port: undefined }, false],
    ['a TCP listener by a descriptor, too', { ...ask, fd: 10 }, false],
    ['a UDP socket', { ...ask, addressType: 'udp4', port: 1237, fd: -1 }, true],
    ['a UDP socket at the port of a TCP listener', { ...ask, addressType: 'udp4', port: 1238 }, false],
    ['a UDP socket that shares its port', { ...ask, addressType: 'udp4', port: 1237, flags: 4 }, false],
    ['a UNIX socket', { ...ask, addressType: -1, address: '/run/time', port: -1 }, true],
    ['another UNIX socket', { ...ask, addressType: -1, address: '/run/other', port: -1 }, false],
    ['an inherited listener', byDescriptor, true],
    ['an inherited listener with an address', { ...byDescriptor, address: '127.0.0.1' }, false],
    ['a descriptor that is none', { ...byDescriptor, fd: 4 }, false],
    ['an inherited UDP socket, of which it has a copy', { ...byDescriptor, fd: 9 }, false],
  ] as const)('%s', (_what, request, isPlanned) => {
    const inherited = { ...plan[0], id: 7, target: { transport: 'tcp', fd: 3 } } as PlannedListener;
    expect(new ListenerTable([...plan, inherited]).isPlanned(request)).toBe(isPlanned);
  });

  it('an IPv6 listener takes no IPv4', () => {
    const target = { transport: 'tcp', family: 'ipv6', address: '::', port: 7 } as const;
    const ipv6 = new ListenerTable([{ ...plan[0], target } as PlannedListener]);
    const request = { ...ask, address: '::', port: 7, addressType: 6 } as const;
    expect([1, 0, undefined].map((flags) => ipv6.isPlanned({ ...request, flags }))).toEqual([true, false, false]);
  });

  it('of what it reports only the port is believed', () => {
    table.record([{ id: 0, bound: at('tcp', 40_000, '192.0.2.1') }]);
    expect(table.running).toEqual([{ service: 'echo', transport: 'tcp', address: '127.0.0.1', port: 40_000 }]);
    expect(table.isPlanned({ ...ask, port: 40_000 })).toBe(true);
    // A listener stays where it was bound first, whatever a worker says later.
    table.record([{ id: 0, bound: at('tcp', 40_001) }]);
    expect(table.running).toMatchObject([{ port: 40_000 }]);
    expect(table.isPlanned({ ...ask, port: 40_001 })).toBe(false);
  });
});
