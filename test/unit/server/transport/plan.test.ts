import { describe, expect, it } from 'vitest';
import { type ResolvedAddress, resolveListenAddress } from '../../../../src/address/resolve.ts';
import type { NetworkListenAddress, UnixListenAddress } from '../../../../src/address/listen-address.ts';
import type { SocketAccess } from '../../../../src/server/transport/listener.ts';
import { type PlannedListener, planListeners } from '../../../../src/server/transport/plan.ts';
import { load } from '../config/sources.ts';

/** What a resolver with these names says; localhost and literals need none. */
function names(table: Readonly<Record<string, readonly string[]>>) {
  return (listen: NetworkListenAddress): Promise<readonly ResolvedAddress[]> =>
    resolveListenAddress(listen, async (name) =>
      (table[name] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
}

async function access({ mode, owner, group }: UnixListenAddress): Promise<SocketAccess> {
  return { mode, uid: Number(owner ?? 1), gid: Number(group ?? 2) };
}

async function plan(
  services: string,
  table: Readonly<Record<string, readonly string[]>> = {},
  passed: ReadonlyMap<string, readonly number[]> = new Map(),
): Promise<readonly PlannedListener[]> {
  const { config } = await load(`services: { ${services} }`);
  return planListeners(config, passed, access, names(table));
}

describe('planListeners', () => {
  it('numbers the listeners and keeps the config text', async () => {
    const planned = await plan('echo: { listen: ["tcp://localhost:1201", "udp4://127.0.0.1:1201", "unix:///run/e"] }');
    expect(planned).toEqual([
      {
        id: 0,
        service: 'echo',
        text: 'unix:///run/e',
        optional: false,
        target: { transport: 'unix', path: '/run/e', access: { mode: 0o660, uid: 1, gid: 2 } },
      },
      {
        id: 1,
        service: 'echo',
        text: 'tcp://localhost:1201',
        optional: true,
        target: { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 1201, freebind: false },
      },
      {
        id: 2,
        service: 'echo',
        text: 'tcp://localhost:1201',
        optional: true,
        target: { transport: 'tcp', family: 'ipv6', address: '::1', port: 1201, freebind: false },
      },
      {
        id: 3,
        service: 'echo',
        text: 'udp4://127.0.0.1:1201',
        optional: false,
        target: { transport: 'udp', family: 'ipv4', address: '127.0.0.1', port: 1201, freebind: false },
      },
    ]);
  });

  it('tells for each listener whether to open it before the address is there', async () => {
    const services =
      'echo: { listen: ["tcp://192.0.2.1:7"], freebind: true }, time: { listen: ["tcp://192.0.2.1:37"] }';
    const planned = await plan(services);
    expect(planned.map(({ target }) => 'port' in target && target.freebind)).toEqual([true, false]);
  });

  it('keeps the mode, owner and group of a socket file', async () => {
    const [planned] = await plan('echo: { listen: ["unix:///run/e?mode=606&owner=3&group=4"] }');
    expect(planned?.target).toEqual({ transport: 'unix', path: '/run/e', access: { mode: 0o606, uid: 3, gid: 4 } });
  });

  it('plans a listener for each address of a resolved name', async () => {
    const planned = await plan('echo: { listen: ["tcp://gate:7"] }', { gate: ['192.0.2.1', '2001:db8::1'] });
    expect(planned.map(({ target }) => target)).toEqual([
      { transport: 'tcp', family: 'ipv4', address: '192.0.2.1', port: 7, freebind: false },
      { transport: 'tcp', family: 'ipv6', address: '2001:db8::1', port: 7, freebind: false },
    ]);
  });

  it.each([
    [
      'two names with the same address',
      'echo: { listen: ["tcp://a:7"] }, time: { listen: ["tcp://b:7"] }',
      'time: tcp://b:7 overlaps with echo: tcp://a:7',
    ],
    [
      'a name that resolves to a configured literal',
      'echo: { listen: ["udp://192.0.2.1:7"] }, time: { listen: ["udp://a:7"] }',
      'time: udp://a:7 overlaps with echo: udp://192.0.2.1:7',
    ],
    [
      'a name covered by a wildcard',
      'echo: { listen: ["tcp://*:7", "tcp://a:7"] }',
      'echo: tcp://a:7 overlaps with echo: tcp://*:7',
    ],
  ])('refuses %s', async (_case, services, message) => {
    const table = { a: ['192.0.2.1'], b: ['192.0.2.9', '192.0.2.1'] };
    await expect(plan(services, table)).rejects.toMatchObject({ code: 'LISTEN_IN_USE', message });
  });

  it.each([
    ['different ports', 'echo: { listen: ["tcp://a:7"] }, time: { listen: ["tcp://a:37"] }', 2],
    ['different transports', 'echo: { listen: ["tcp://a:7", "udp://a:7"] }', 2],
    ['port 0', 'echo: { listen: ["tcp://a:0"] }, time: { listen: ["tcp://a:0"] }', 2],
  ])('accepts one address with %s', async (_case, services, count) => {
    expect(await plan(services, { a: ['192.0.2.1'] })).toHaveLength(count);
  });

  it('refuses a name without an address', async () => {
    await expect(plan('echo: { listen: ["tcp://nowhere:7"] }')).rejects.toMatchObject({
      code: 'NAME_NOT_RESOLVED',
      message: 'echo: cannot listen on tcp://nowhere:7: the name nowhere has no address',
    });
  });

  it.each<[string, ReadonlyMap<string, readonly number[]>, string]>([
    [
      'nothing was passed',
      new Map(),
      'echo: systemd:echo: no descriptor of that name was passed to this process (LISTEN_FDNAMES); ' +
        'no descriptors were passed',
    ],
    [
      'only other names were passed',
      new Map([
        ['time', [3]],
        ['qotd', [4]],
      ]),
      'echo: systemd:echo: no descriptor of that name was passed to this process (LISTEN_FDNAMES); ' +
        'the names passed are time, qotd',
    ],
    [
      'the descriptor is not open',
      new Map([['echo', [9998]]]),
      'echo: systemd:echo: descriptor 9998 is not open: it was not passed',
    ],
  ])('refuses a systemd name if %s', async (_case, passed, message) => {
    await expect(plan('echo: { listen: ["systemd:echo"] }', {}, passed)).rejects.toMatchObject({
      code: 'LISTEN_NO_DESCRIPTOR',
      message: expect.stringContaining(message),
    });
  });

  it('refuses one descriptor for two listeners', async () => {
    const passed = new Map([['echo', [9998]]]);
    const services = 'time: { listen: ["fd://9998"] }, echo: { listen: ["systemd:echo"] }';
    await expect(plan(services, {}, passed)).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      message: 'echo: systemd:echo is the same descriptor as time: fd://9998',
    });
  });
});
