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
  it('lists each service with UDP sockets once, in plan order', () => {
    expect(table.datagramServices).toEqual(['echo', 'time', 'qotd']);
  });

  it('lists the inherited UDP sockets to copy to the workers', () => {
    expect(table.inheritedDatagrams).toEqual([9, 7]);
    expect(table.hasInheritedStreams).toBe(false);
  });

  it('detects an inherited stream socket', () => {
    const inherited = { ...plan[0], target: { transport: 'tcp', fd: 3 } } as PlannedListener;
    expect(new ListenerTable([inherited]).hasInheritedStreams).toBe(true);
  });

  it('lists every listener as skipped and none as running', () => {
    expect(table.running).toEqual([]);
    expect(table.datagramPorts).toEqual([1237]);
    expect(ids(table.skipped)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('toOpen', () => {
  it('hides the access of a UNIX socket from the workers, which do not create it', () => {
    const unix = table.toOpen(none, { streams: true, when: 'any' }).find(({ id }) => id === 3);
    expect(unix?.target).toEqual({ transport: 'unix', path: '/run/time' });
  });

  it.each<[string, ReadonlySet<string>, boolean, number[]]>([
    ['gives a starting worker all streams and its own datagram sockets', new Set(['time']), true, [0, 2, 3, 6]],
    ['gives a worker that takes over a service only its datagram sockets', new Set(['echo']), false, [1, 5]],
    ['gives a worker without datagram services only the streams', none, true, [0, 3, 6]],
    ['gives the only worker everything', all, true, [0, 1, 2, 3, 4, 5, 6]],
    ['returns nothing if there is nothing to open', none, false, []],
  ])('%s', (_case, services, streams, expected) => {
    expect(ids(table.toOpen(services, { streams, when: 'any' }))).toEqual(expected);
  });

  it('passes inherited UDP sockets as copies from descriptor 5 on', () => {
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

  it('lists the bound addresses in plan order', () => {
    expect(table.running).toEqual([
      { service: 'echo', ...at('tcp', 40_001) },
      { service: 'echo', ...at('udp', 40_002) },
      { service: 'time', ...at('unix', 0, '/run/time') },
    ]);
    expect(ids(table.skipped)).toEqual([2, 4, 5, 6]);
    expect(table.datagramPorts).toEqual([1237, 40_002]);
  });

  it.each<[string, number, BoundAddress | null, boolean]>([
    ['a new UDP port', 2, at('udp', 1237), true],
    ['a known UDP port', 1, at('udp', 40_002), false],
    ['a TCP port', 0, at('tcp', 40_001), false],
    ['a missing address family', 6, null, false],
  ])('says whether a UDP port is new: %s', (_case, id, bound, fresh) => {
    expect(table.record([{ id, bound }])).toBe(fresh);
  });

  it('pins a UDP port chosen by the system, but not a shared TCP port', () => {
    const ports = table
      .toOpen(all, { streams: true, when: 'any' })
      .flatMap(({ target }) => ('port' in target ? [target.port] : []));
    expect(ports).toEqual([0, 40_002, 1237, 0]);
  });

  it('pins all chosen ports when no worker is left', () => {
    table.pinPorts();
    const ports = table
      .toOpen(all, { streams: true, when: 'any' })
      .flatMap(({ target }) => ('port' in target ? [target.port] : []));
    expect(ports).toEqual([40_001, 40_002, 1237, 0]);
    expect(table.running).toHaveLength(3);
  });

  it('lists planned UDP ports before they are open', () => {
    expect(new ListenerTable(plan).datagramPorts).toContain(1237);
  });

  it('reports a service as unserved if none of its listeners is open', () => {
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

  it('does not change the plan', () => {
    table.pinPorts();
    table.toOpen(all, { streams: true, when: 'any' });
    expect(plan[1]?.target).toEqual({ ...udp, port: 0 });
    expect(plan[4]?.target).toEqual({ transport: 'udp', family: 'ipv4', fd: 9 });
  });

  it('keeps a system-chosen port across two reloads in quick succession', () => {
    const third = table.successor(plan).successor(plan);
    const udpOfEcho = third.toOpen(all, { streams: false, when: 'late' }).find(({ id }) => id === 1);
    expect(udpOfEcho?.target).toMatchObject({ port: 40_002 });
  });
});

describe('a request of a worker to the primary', () => {
  const ask = { index: 0, address: '127.0.0.1', port: 0, addressType: 4, fd: undefined, flags: 0 } as const;
  const byDescriptor = { index: 0, address: null, port: null, addressType: null, fd: 3, flags: undefined } as const;

  it.each([
    ['a TCP listener', ask, true],
    ['a TCP listener for the tenth time', { ...ask, index: 10 }, true],
    ['a TCP listener on another port', { ...ask, port: 22 }, false],
    ['a TCP listener without a port', { ...ask, port: undefined }, false],
    ['a TCP listener that also names a descriptor', { ...ask, fd: 10 }, false],
    ['a UDP socket', { ...ask, addressType: 'udp4', port: 1237, fd: -1 }, true],
    ['a UDP socket on the port of a TCP listener', { ...ask, addressType: 'udp4', port: 1238 }, false],
    ['a UDP socket that shares its port', { ...ask, addressType: 'udp4', port: 1237, flags: 4 }, false],
    ['a UNIX socket', { ...ask, addressType: -1, address: '/run/time', port: -1 }, true],
    ['another UNIX socket', { ...ask, addressType: -1, address: '/run/other', port: -1 }, false],
    ['an inherited listener', byDescriptor, true],
    ['an inherited listener with an address', { ...byDescriptor, address: '127.0.0.1' }, false],
    ['an unknown descriptor', { ...byDescriptor, fd: 4 }, false],
    ['an inherited UDP socket that the worker has a copy of', { ...byDescriptor, fd: 9 }, false],
  ] as const)('%s', (_what, request, isPlanned) => {
    const inherited = { ...plan[0], id: 7, target: { transport: 'tcp', fd: 3 } } as PlannedListener;
    expect(new ListenerTable([...plan, inherited]).isPlanned(request)).toBe(isPlanned);
  });

  it('is refused for an IPv6 listener that also accepts IPv4', () => {
    const target = { transport: 'tcp', family: 'ipv6', address: '::', port: 7 } as const;
    const ipv6 = new ListenerTable([{ ...plan[0], target } as PlannedListener]);
    const request = { ...ask, address: '::', port: 7, addressType: 6 } as const;
    expect([1, 0, undefined].map((flags) => ipv6.isPlanned({ ...request, flags }))).toEqual([true, false, false]);
  });

  it('is checked against the plan and the first reported port', () => {
    table.record([{ id: 0, bound: at('tcp', 40_000, '192.0.2.1') }]);
    expect(table.running).toEqual([{ service: 'echo', transport: 'tcp', address: '127.0.0.1', port: 40_000 }]);
    expect(table.isPlanned({ ...ask, port: 40_000 })).toBe(true);
    // A listener stays where it was bound first, whatever a worker says later.
    table.record([{ id: 0, bound: at('tcp', 40_001) }]);
    expect(table.running).toMatchObject([{ port: 40_000 }]);
    expect(table.isPlanned({ ...ask, port: 40_001 })).toBe(false);
  });
});
