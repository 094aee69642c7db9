import { describe, expect, it } from 'vitest';
import { listenerChanges, overlaps, pairListeners } from '../../../../src/server/supervisor/listener-changes.ts';
import type { ListenTarget } from '../../../../src/server/transport/listener.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';

function network(transport: 'tcp' | 'udp', address: string, port: number): ListenTarget {
  const at = { family: address.includes(':') ? 'ipv6' : 'ipv4', address, port } as const;
  return transport === 'tcp' ? { transport, ...at } : { transport, ...at };
}

function plan(...listeners: readonly (readonly [service: string, target: ListenTarget])[]): readonly PlannedListener[] {
  return listeners.map(([service, target], id) => ({ id, service, text: `text ${id}`, target, optional: false }));
}

const echo = ['echo', network('tcp', '127.0.0.1', 1201)] as const;
const time = ['time', network('udp', '::1', 1237)] as const;
const unix = ['echo', { transport: 'unix', path: '/run/echo' }] as const;
const passed = ['qotd', { transport: 'tcp', fd: 3 }] as const;

/** A listener whose port the system chooses. */
function free(service: string): readonly [string, ListenTarget] {
  return [service, network('tcp', '127.0.0.1', 0)];
}

function services(listeners: readonly PlannedListener[]): readonly string[] {
  return listeners.map(({ service, id }) => `${service} ${id}`);
}

describe('listenerChanges', () => {
  it('classifies listeners by address, not by order or service', () => {
    const { added, removed, kept } = listenerChanges(
      plan(echo, time, unix),
      plan(passed, ['daytime', unix[1]], ['clock', echo[1]]),
    );
    expect(services(added)).toEqual(['qotd 0']);
    expect(services(removed)).toEqual(['time 1']);
    expect(services(kept)).toEqual(['daytime 1', 'clock 2']);
  });

  it('keeps a UNIX listener if only its owner, group or mode changes', () => {
    const [path, access] = ['/run/echo', { mode: 0o660, uid: 1, gid: 1 }];
    const given = { transport: 'unix', path, access } as const;
    for (const change of [{ mode: 0o600 }, { uid: 2 }, { gid: 2 }]) {
      const next = { ...given, access: { ...access, ...change } };
      expect(listenerChanges(plan(['echo', given]), plan(['echo', next]))).toMatchObject({
        added: [],
        removed: [],
        kept: [{ target: next }],
      });
    }
  });
});

describe('overlaps', () => {
  it.each([
    ['all interfaces and one address', true, ['echo', network('tcp', '0.0.0.0', 1201)] as const],
    ['two addresses', false, ['echo', network('tcp', '127.0.0.2', 1201)] as const],
    ['two address families', false, ['echo', network('tcp', '::', 1201)] as const],
    ['two transports', false, ['echo', network('udp', '0.0.0.0', 1201)] as const],
    ['two ports', false, ['echo', network('tcp', '0.0.0.0', 1202)] as const],
    ['a port that the system chooses', false, ['echo', network('tcp', '0.0.0.0', 0)] as const],
    ['a path', false, unix],
    ['a descriptor', false, passed],
  ])('%s: %s', (_, expected, other) => {
    const [one, two] = plan(echo, other);
    expect(overlaps(one!, two!)).toBe(expected);
    expect(overlaps(two!, one!)).toBe(expected);
  });
});

it('pairListeners pairs listeners of a service on port 0 in order, and never those of two services', () => {
  const pairs = pairListeners(plan(free('a'), echo, free('b'), free('a')), plan(free('a'), free('c'), free('a')));
  expect(pairs.map(([one, other]) => `${one.service} ${one.id} ${other.id}`)).toEqual(['a 0 0', 'a 3 2']);
});
