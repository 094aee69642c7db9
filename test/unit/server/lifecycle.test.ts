import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { BudgetedLog } from '../../../src/server/budgeted-log.ts';
import type { Config } from '../../../src/server/config/config.ts';
import { type PreparedService, TaskContext } from '../../../src/server/service-context.ts';
import { Lifecycle } from '../../../src/server/lifecycle.ts';
import type { Service } from '../../../src/service.ts';
import { socketAccessFor } from '../../../src/server/supervisor/socket-access.ts';
import { type PlannedListener, planListeners } from '../../../src/server/transport/plan.ts';
import { load } from './config/sources.ts';
import { serve } from '../../support/daemon.ts';
import { FakeClock, pass } from '../../support/fake-clock.ts';
import { FakeLog } from '../../support/fake-log.ts';
import { freePort } from '../../support/ports.ts';
import { TcpClient } from '../../support/tcp.ts';
import { UdpClient } from '../../support/udp.ts';
import { until, within } from '../../support/wait.ts';

const echo: Service = {
  stream: (client) => ({ data: (chunk) => client.write(chunk) }),
  datagram: (request) => request,
};

let clock: FakeClock;
let log: FakeLog;

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
});

interface Made {
  readonly lifecycle: Lifecycle;
  readonly plan: readonly PlannedListener[];
  readonly context: TaskContext;
  readonly config: Config;
}

async function make(services: string, service: Service = echo): Promise<Made> {
  const { config } = await load(`services: { ${services} }`);
  const context = new TaskContext(clock, Math.random, log);
  const prepared = new Map<string, PreparedService>(
    config.services.map(({ name }) => [
      name,
      { service, context, log: new BudgetedLog(log.child({ service: name }), clock, 1) },
    ]),
  );
  const lifecycle = new Lifecycle({ config, services: prepared, clock, random: Math.random, log });
  onTestFinished(async () => {
    const drained = lifecycle.drain(0);
    clock.advance(0);
    await drained;
  });
  return { lifecycle, context, config, plan: await planListeners(config, new Map(), socketAccessFor(null)) };
}

/** Opens all, and gives where the first is bound. */
async function open({ lifecycle, plan }: Made): Promise<{ host: string; port: number }> {
  const [first] = await lifecycle.open(plan);
  return { host: first?.bound?.address ?? '', port: first?.bound?.port ?? 0 };
}

describe('open', () => {
  it('opens listeners in plan order and returns their addresses', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0, udp://127.0.0.1:0] }');
    const opened = await made.lifecycle.open(made.plan);
    expect(opened.map(({ planned, bound }) => [planned.id, bound?.transport, bound?.address])).toEqual([
      [0, 'tcp', '127.0.0.1'],
      [1, 'udp', '127.0.0.1'],
    ]);
    expect(opened.every(({ bound }) => (bound?.port ?? 0) > 0)).toBe(true);
  });

  it('serves on the other listeners while it waits for an address, until it is told to stop', async () => {
    const port = await freePort();
    const made = await make(`echo: { listen: [tcp://192.0.2.254:0, tcp://127.0.0.1:${port}] }`);
    const opening = made.lifecycle.open(made.plan);
    const failure = expect(opening).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
    await pass(clock, 1000);
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.finish('served meanwhile');
    expect((await client.takeAll()).toString()).toBe('served meanwhile');
    made.lifecycle.suspend();
    await pass(clock, 250);
    await failure;
    expect(log.records.map(({ message }) => message)).toContain('address not available yet, retrying');
  });

  it('refuses freebind over sockets of Node', async () => {
    const echoes = { echo: { listen: ['tcp://192.0.2.254:0'], freebind: true } };
    await expect(serve(echoes, { sockets: 'node' })).rejects.toThrow(
      'echo: cannot listen on tcp://192.0.2.254:0: freebind needs workers or "sockets: kernel", and koffi on 64-bit Linux',
    );
    const daemon = await serve(echoes, { sockets: 'kernel' });
    expect(daemon.listeners).toMatchObject([{ address: '192.0.2.254' }]);
  });

  it('refuses fragment over UDP sockets of Node', async () => {
    const [tcp, udp] = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];
    const failure = serve({ echo: { listen: [udp], fragment: true } }, { sockets: 'node' });
    await expect(failure).rejects.toThrow('udp://127.0.0.1:0: fragment needs workers or "sockets: kernel"');
    await serve({ echo: { listen: [tcp], fragment: true } }, { sockets: 'node' });
    await serve({ echo: { listen: [udp], fragment: true } }, { sockets: 'kernel' });
  });

  it('runs the periodic tasks of the services before accepting clients', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0] }');
    let runs = 0;
    made.context.every(1000, async () => {
      runs += 1;
    });
    await open(made);
    expect(runs).toBe(1);
  });

  it('closes only the listeners it opened itself if it fails', async () => {
    const made = await make(
      'echo: { listen: [tcp://127.0.0.1:0] }, other: { type: echo, listen: [tcp://127.0.0.1:0] }',
    );
    const [first, second] = made.plan;
    const [opened] = await made.lifecycle.open(made.plan.slice(0, 1));
    const port = opened?.bound?.port ?? 0;
    const taken = { ...second, id: 3, target: { ...second?.target, port } } as PlannedListener;
    const before = await serve({ echo: { listen: ['tcp://127.0.0.1:0'] } });
    const free = before.target('echo', 'tcp');
    await before.close();
    const spare = { ...first, id: 2, target: { ...first?.target, port: free.port } } as PlannedListener;
    await expect(made.lifecycle.open([spare, taken])).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    await expect(TcpClient.connect(free)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.finish('still served');
    expect((await client.takeAll()).toString()).toBe('still served');
  });

  it('leaves open listeners alone, even if others fail', async () => {
    const made = await make('echo: { listen: [udp://127.0.0.1:0, udp://127.0.0.1:0] }');
    const [first, second] = made.plan as [PlannedListener, PlannedListener];
    const [before] = await made.lifecycle.open([first]);
    const target = { host: '127.0.0.1', port: before?.bound?.port ?? 0 };
    expect(await made.lifecycle.open([first])).toEqual([before]);
    const taken = { ...second, target: { ...second.target, port: target.port } } as PlannedListener;
    await expect(made.lifecycle.open([first, taken])).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    const client = await UdpClient.open('127.0.0.1');
    expect((await client.ask('still served', target)).toString()).toBe('still served');
    expect(await made.lifecycle.open(made.plan)).toHaveLength(2);
  });

  it('skips optional listeners with an unavailable address', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0, tcp://127.0.0.1:0] }');
    // RFC 5737: an address that no machine has stands for a family that is missing.
    const missing = made.plan.map((each) => ({
      ...each,
      optional: true,
      target: { transport: 'tcp', family: 'ipv4', address: '203.0.113.77', port: 0 } as const,
    }));
    const mixed = [made.plan[0], missing[1]] as PlannedListener[];
    const opened = await made.lifecycle.open(mixed);
    expect(opened.map(({ bound }) => bound !== undefined)).toEqual([true, false]);
  });
});

describe('suspend, drain, destroy', () => {
  it('suspend refuses new clients and keeps serving connected clients', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0] }');
    const target = await open(made);
    const client = await TcpClient.connect(target);
    client.write('before');
    await client.take(6);
    made.lifecycle.suspend();
    await expect(TcpClient.connect(target)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.finish(' after');
    expect((await client.takeAll()).toString()).toBe('before after');
  });

  it('drain resolves when the last client has left', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0] }');
    const target = await open(made);
    const clients = [await TcpClient.connect(target), await TcpClient.connect(target)];
    for (const client of clients) {
      client.write('x');
      await client.take(1);
    }
    let drained = false;
    const draining = (async () => {
      await made.lifecycle.drain(60_000);
      drained = true;
    })();
    clients[0]?.finish();
    await clients[0]?.gone();
    expect(drained).toBe(false);
    clients[1]?.finish('last words');
    expect((await clients[1]?.takeAll())?.toString()).toBe('xlast words');
    await within(draining, 'the drain');
    const reasons = log.records.filter(({ message }) => message === 'closed').map(({ fields }) => fields['reason']);
    expect(reasons).toEqual(['completed', 'completed']);
  });

  it('drain closes the remaining clients as shutdown after the grace period', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0] }');
    const client = await TcpClient.connect(await open(made));
    client.write('x');
    await client.take(1);
    const draining = made.lifecycle.drain(10_000);
    clock.advance(9999);
    client.write('y');
    await client.take(2);
    clock.advance(1);
    await within(draining, 'the drain');
    await client.cut();
    expect(log.records.at(-1)?.fields).toMatchObject({ reason: 'shutdown', bytesIn: 2 });
  });

  it('destroy closes all clients at once, even while draining, and may be called twice', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0, udp://127.0.0.1:0] }');
    const client = await TcpClient.connect(await open(made));
    client.write('x');
    await client.take(1);
    const draining = made.lifecycle.drain(10_000);
    made.lifecycle.destroy();
    made.lifecycle.destroy();
    await client.cut();
    await within(draining, 'the drain');
  });

  it('suspend during open leaves no listener open', async () => {
    const made = await make('echo: { listen: [tcp://127.0.0.1:0, udp://127.0.0.1:0] }');
    const opening = made.lifecycle.open(made.plan);
    made.lifecycle.suspend();
    const [tcp] = await opening;
    await expect(TcpClient.connect({ host: '127.0.0.1', port: tcp?.bound?.port ?? 0 })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  it('drain closes the services, stops their tasks and writes a final summary', async () => {
    const closed: string[] = [];
    const made = await make(
      'echo: { listen: [udp://127.0.0.1:0], deny: [127.0.0.1] }, time: { listen: [udp://127.0.0.1:0] }',
      {
        ...echo,
        close() {
          closed.push('closed');
          throw new Error('cannot close');
        },
      },
    );
    made.context.every(1000, async () => {});
    await open(made);
    made.lifecycle.counters.get('echo')!.datagram.dropped.denied = 3;
    await within(
      made.lifecycle.drain(0).finally(() => {}),
      'the drain',
    );
    expect(closed).toEqual(['closed', 'closed']);
    expect(log.records).toContainEqual(
      expect.objectContaining({
        fields: { service: 'echo', dropped: { denied: 3 } },
        message: 'clients refused or datagrams dropped',
      }),
    );
    expect(log.records.filter(({ level }) => level === 'error')).toHaveLength(2);
    expect(clock.waiting).toBe(0);
  });
});

describe('per-process state', () => {
  it('counts per service', async () => {
    const made = await make(
      'echo: { listen: [tcp://127.0.0.1:0] }, other: { type: echo, listen: [tcp://127.0.0.1:0] }',
    );
    const client = await TcpClient.connect(await open(made));
    client.finish('four');
    await client.takeAll();
    await client.gone();
    const drained = made.lifecycle.drain(60_000);
    await within(drained, 'the drain');
    expect(made.lifecycle.counters.get('echo')?.stream).toMatchObject({
      accepted: 1,
      active: 0,
      bytesIn: 4,
      bytesOut: 4,
      closed: { completed: 1 },
    });
    expect(made.lifecycle.counters.get('other')?.stream.accepted).toBe(0);
  });

  it('counts the bytes of a client while it is connected, and once', async () => {
    const made = await make('echo: { listen: "tcp://127.0.0.1:0" }');
    const client = await TcpClient.connect(await open(made));
    const bytes = (): readonly (number | undefined)[] => {
      const stream = made.lifecycle.counters.get('echo')?.stream;
      return [stream?.bytesIn, stream?.bytesOut];
    };
    client.write('hello');
    await client.take(5);
    expect(bytes()).toEqual([0, 0]);
    clock.advance(1000);
    expect(bytes()).toEqual([5, 5]);
    client.write('again');
    await client.take(5);
    client.finish();
    await client.gone();
    await until(() => made.lifecycle.counters.get('echo')?.stream.active === 0, 'the end of the client');
    clock.advance(1000);
    expect(bytes()).toEqual([10, 10]);
  });

  it('drops datagrams from other processes of the daemon', async () => {
    const made = await make('echo: { listen: [udp://127.0.0.1:0] }');
    const target = await open(made);
    const [stranger, own] = [await UdpClient.open('127.0.0.1'), await UdpClient.open('127.0.0.1')];
    expect((await own?.ask('x', target))?.toString()).toBe('x');
    made.lifecycle.addOwnPorts([own?.port ?? 0]);
    own?.send('y', target);
    await stranger?.ask('z', target);
    expect(own?.replies).toHaveLength(1);
    expect(made.lifecycle.counters.get('echo')?.datagram.dropped['source-port']).toBe(1);
  });
});

/** A plan whose only listener is this one, of chargen. */
function planOf(text: string, target: PlannedListener['target']): readonly PlannedListener[] {
  return [{ id: 0, service: 'chargen', text, target, optional: false }];
}

it('refuses an inherited socket of a transport over which its service does not answer', async () => {
  const { lifecycle } = await make('stamp: { listen: [udp://127.0.0.1:0] }');
  const target = { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 0 } as const;
  await expect(
    lifecycle.open([{ id: 0, service: 'stamp', text: 'systemd:stamp', target, optional: false }]),
  ).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'stamp: systemd:stamp: stamp answers over UDP only: expected a UDP address',
  });
});

describe('a UDP listener of an abusable service', () => {
  const exposed =
    /chargen can be abused: .*. Listen on a loopback, private or link-local address, use TCP, or set exposeUdp: true/;

  const chargen = 'chargen: { listen: [tcp://127.0.0.1:0] }';

  it('is refused on a name that resolves to a public address', async () => {
    const { lifecycle } = await make(chargen);
    const target = { transport: 'udp', family: 'ipv4', address: '0.0.0.0', port: 0 } as const;
    const opening = lifecycle.open(planOf('udp://public.example:0', target));
    await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(exposed) });
    await expect(opening).rejects.toThrow('chargen: udp://public.example:0 (0.0.0.0) exposes UDP to public addresses');
  });

  it('is opened on a loopback address', async () => {
    const { lifecycle } = await make(chargen);
    const target = { transport: 'udp', family: 'ipv4', address: '127.0.0.1', port: 0 } as const;
    const [opened] = await lifecycle.open(planOf('udp://some.example:0', target));
    expect(opened?.bound?.address).toBe('127.0.0.1');
  });

  // An address that no machine has: nothing is really opened for strangers.
  const publicAddress = { family: 'ipv4', address: '192.0.2.1', port: 0 } as const;

  it.each([
    ['with exposeUdp', { transport: 'udp', ...publicAddress }, ', exposeUdp: true'],
    ['over TCP', { transport: 'tcp', ...publicAddress }, ''],
  ] as const)('is allowed on a public address %s', async (_how, target, more) => {
    const { lifecycle } = await make(`chargen: { listen: [tcp://127.0.0.1:0]${more} }`);
    const opening = lifecycle.open(planOf(`${target.transport}://public.example:0`, target));
    const failure = expect(opening).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
    await pass(clock, 5000);
    await failure;
  });
});

describe('setFaults', () => {
  it('does nothing for a service that the config lacks', async () => {
    const { lifecycle } = await make('echo: { listen: udp://127.0.0.1:0 }');
    expect(() => lifecycle.setFaults('removed', undefined)).not.toThrow();
  });

  it('counts what earlier faults hold back', async () => {
    const faults = '{ delay: { time: 1h }, maxDelayed: { datagrams: 2 } }';
    const made = await make(`echo: { listen: udp://127.0.0.1:0, faults: ${faults} }`);
    const target = await open(made);
    const { lifecycle, config } = made;
    const counts = lifecycle.counters.get('echo')!.datagram;
    const client = await UdpClient.open('127.0.0.1');
    for (const text of ['one', 'two']) client.send(text, target);
    await until(() => counts.received === 2, 'two datagrams');
    expect(counts.faults.maxDelayed).toBe(0);
    lifecycle.setFaults('echo', undefined);
    lifecycle.setFaults('echo', config.services[0]?.faults);
    client.send('three', target);
    await until(() => counts.received === 3, 'the third datagram');
    expect(counts.faults.maxDelayed).toBe(1);
  });
});
