import { describe, expect, it } from 'vitest';
import { listenerChanges, pairListeners } from '../../../../src/server/supervisor/listener-changes.ts';
import type { ListenTarget } from '../../../../src/server/transport/listener.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';

function network(transport: 'tcp' | 'udp', address: string, port: number): ListenTarget {
  const at = { family: address.includes(':') ? 'ipv6' : 'ipv4', address, port } as const;
  return transport === 'tcp' ? { transport, ...at } : { transport, ...at };
}

function plan(...listeners: readonly (readonly [service: string, target: ListenTarget])[]): readonly PlannedListener[] {
  return listeners.map(([service, target], id) => ({ id, service, text: `text ${id}`, target, optional: false }));
}

const none: ReadonlySet<number> = new Set();
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
      none,
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
      expect(listenerChanges(plan(['echo', given]), plan(['echo', next]), none)).toMatchObject({
        added: [],
        removed: [],
        kept: [{ target: next }],
      });
    }
  });

  it.each([
    ['all interfaces after one address', echo, ['echo', network('tcp', '0.0.0.0', 1201)] as const],
    ['one address after all interfaces', ['time', network('udp', '::', 1237)] as const, time],
  ])('refuses %s, and names both', (_, old, next) => {
    expect(() => listenerChanges(plan(old), plan(next), none)).toThrow(
      expect.objectContaining({
        code: 'RELOAD_NEEDS_RESTART',
        message: expect.stringMatching(
          /needs a restart: \S+ (tcp|udp):\S+ overlaps \S+ (tcp|udp):\S+, which/,
        ) as string,
      }),
    );
  });

  it.each([
    ['another address family', ['echo', network('tcp', '::', 1201)] as const],
    ['another transport', ['echo', network('udp', '0.0.0.0', 1201)] as const],
    ['another port', ['echo', network('tcp', '0.0.0.0', 1202)] as const],
    ['another address', ['echo', network('tcp', '127.0.0.2', 1201)] as const],
  ])('%s overlaps nothing', (_, next) => {
    expect(listenerChanges(plan(echo), plan(next), none).added).toHaveLength(1);
  });

  it('refuses changes to listeners on port 0', () => {
    expect(() => listenerChanges(plan(echo), plan(echo, free('time')), none)).toThrow(/port 0 change: none now, time/);
    expect(() => listenerChanges(plan(free('a'), free('b')), plan(free('b'), free('a')), none)).toThrow(
      /port 0 change/,
    );
    expect(listenerChanges(plan(free('a'), echo, free('b')), plan(free('a'), free('b'), time), none)).toMatchObject({
      added: [{ service: 'time' }],
      removed: [{ service: 'echo' }],
      kept: [{ service: 'a' }, { service: 'b' }],
    });
  });

  it('refuses a descriptor closed by an earlier reload', () => {
    expect(() => listenerChanges(plan(echo), plan(passed), new Set([3]))).toThrow(/descriptor 3 was closed/);
    expect(listenerChanges(plan(echo), plan(passed), new Set([4])).added).toHaveLength(1);
    expect(listenerChanges(plan(passed), plan(passed), new Set([3])).kept).toHaveLength(1);
  });
});

it('pairListeners pairs listeners on port 0 in order', () => {
  const pairs = pairListeners(plan(free('a'), echo, free('b')), plan(free('c'), free('d')));
  expect(pairs.map(([one, other]) => `${one.service} ${other.service}`)).toEqual(['a c', 'b d']);
});
