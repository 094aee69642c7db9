import { fstatSync, existsSync, readFileSync, writeFileSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseListenAddress } from '../../../../src/address/listen-address.ts';
import { ListenerSockets, type OpenListener } from '../../../../src/server/supervisor/listener-sockets.ts';
import { socketAccessFor } from '../../../../src/server/supervisor/socket-access.ts';
import { planListeners, type PlannedListener } from '../../../../src/server/transport/plan.ts';
import { temporaryFolder } from '../../../support/daemon-process.ts';
import { load } from '../config/sources.ts';

const { config } = await load('services: { echo: { listen: "tcp://127.0.0.1:0" } }');

function newSockets(): ListenerSockets {
  const sockets = new ListenerSockets();
  onTestFinished(() => sockets.keep([]));
  return sockets;
}

async function planOf(...listen: readonly string[]): Promise<readonly PlannedListener[]> {
  const service = { name: 'echo', listen: listen.map((text) => parseListenAddress(text, () => undefined)) };
  return planListeners({ services: [service] }, new Map(), socketAccessFor(null));
}

/** Opens one listener. */
async function openOne(sockets: ListenerSockets, text: string): Promise<OpenListener> {
  const [listener] = sockets.open(await planOf(text), config.services);
  if (listener === undefined) throw new Error('it was skipped');
  return listener;
}

function isOpen(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
}

describe('open', () => {
  it('opens sockets of every kind and tells where they are bound', async () => {
    const path = join(temporaryFolder(), 'socket');
    const opened = newSockets().open(
      await planOf(`unix://${path}`, 'tcp://127.0.0.1:0', 'udp://127.0.0.3:0', 'tcp://[::1]:0'),
      config.services,
    );
    expect(opened.map(({ bound }) => bound)).toEqual([
      { transport: 'unix', address: path, port: 0 },
      { transport: 'tcp', address: '127.0.0.1', port: expect.any(Number) as number },
      { transport: 'udp', address: '127.0.0.3', port: expect.any(Number) as number },
      { transport: 'tcp', address: '::1', port: expect.any(Number) as number },
    ]);
  });

  it('lets clients connect although nobody accepts yet', async () => {
    const { bound } = await openOne(newSockets(), 'tcp://127.0.0.1:0');
    const client = connect(bound.port, bound.address);
    onTestFinished(() => void client.destroy());
    await once(client, 'connect');
  });

  it('keeps what is open and closes the rest when told', async () => {
    const sockets = newSockets();
    const [first, second] = sockets.open(await planOf('tcp://127.0.0.1:0', 'udp://127.0.0.1:0'), config.services);
    const next = sockets.open(await planOf('udp://127.0.0.1:0', 'tcp://127.0.0.2:0'), config.services);
    expect(next[0]?.descriptor).toBe(second?.descriptor);
    expect(isOpen(first!.descriptor)).toBe(true);
    sockets.keep(next);
    expect(isOpen(first!.descriptor)).toBe(false);
    expect(next.map(({ descriptor }) => isOpen(descriptor))).toEqual([true, true]);
  });

  it('leaves everything as it was if a listener cannot be opened', async () => {
    const sockets = newSockets();
    const first = await openOne(sockets, 'tcp://127.0.0.1:0');
    const taken = await openOne(newSockets(), 'tcp://127.0.0.2:0');
    const next = await planOf('udp://127.0.0.9:0', `tcp://127.0.0.2:${taken.bound.port}`);
    const before = socketsOfProcess();
    expect(() => sockets.open(next, config.services)).toThrow(/echo: cannot listen on tcp:.*in use by another program/);
    expect(socketsOfProcess()).toBe(before);
    expect(isOpen(first.descriptor)).toBe(true);
  });

  it.each(['tcp', 'udp'] as const)('exchanges a single %s address for all interfaces, and back', async (transport) => {
    const sockets = newSockets();
    const first = await openOne(sockets, `${transport}4://127.0.0.1:0`);
    const { port } = first.bound;
    let plan = await planOf(`${transport}4://127.0.0.1:${port}`);
    sockets.keep([{ ...first, planned: plan[0]! }]);
    for (const host of ['*', '127.0.0.1']) {
      plan = await planOf(`${transport}4://${host}:${port}`);
      const next = sockets.open(plan, config.services);
      sockets.keep(next);
      expect(next[0]?.bound).toEqual({ transport, address: host === '*' ? '0.0.0.0' : host, port });
    }
    await expect(openOne(newSockets(), `${transport}4://*:${port}`)).rejects.toThrow('in use by another program');
  });

  it('names both listeners if the kernel does not allow an overlap', async () => {
    const sockets = newSockets();
    const one = await openOne(sockets, 'tcp4://127.0.0.1:0');
    const { port } = one.bound;
    sockets.keep([{ ...one, planned: (await planOf(`tcp4://127.0.0.1:${port}`))[0]! }]);
    // Of another program: all interfaces stay taken, whatever our own socket allows.
    await openOne(newSockets(), `tcp4://127.0.0.2:${port}`);
    await expect(openOne(sockets, `tcp4://*:${port}`)).rejects.toThrow(
      new RegExp(`tcp4://\\*:${port}: it overlaps with echo: tcp4://127.0.0.1:${port}, which is open now`),
    );
    expect(isOpen(one.descriptor)).toBe(true);
  });

  it('skips a family that the machine lacks, unless nothing else serves', async () => {
    const [planned] = await planOf('tcp6://[2001:db8::1]:0');
    const absent = { ...planned!, optional: true };
    const [other] = await planOf('tcp://127.0.0.1:0');
    const sockets = newSockets();
    expect(sockets.open([absent, { ...other!, id: 1 }], config.services)).toHaveLength(1);
    expect(() => newSockets().open([absent], config.services)).toThrow('this machine does not have that address');
  });

  it('never closes an inherited socket', async () => {
    const inherited = await openOne(newSockets(), 'tcp://127.0.0.1:0');
    const sockets = newSockets();
    const target = { transport: 'tcp', fd: inherited.descriptor } as const;
    const planned: PlannedListener = { id: 0, service: 'echo', text: 'fd://9', target, optional: false };
    const [listener] = sockets.open([planned], config.services);
    expect(listener?.bound).toEqual(inherited.bound);
    sockets.keep([]);
    expect(isOpen(inherited.descriptor)).toBe(true);
    expect(sockets.open([planned], config.services)[0]?.descriptor).toBe(inherited.descriptor);
  });
});

describe('the file of a UNIX socket', () => {
  it('is removed when its listener closes', async () => {
    const path = join(temporaryFolder(), 'socket');
    const sockets = newSockets();
    await openOne(sockets, `unix://${path}`);
    expect(existsSync(path)).toBe(true);
    sockets.keep([]);
    expect(existsSync(path)).toBe(false);
  });

  it('is created again by the next open if somebody has removed it', async () => {
    const path = join(temporaryFolder(), 'socket');
    const sockets = newSockets();
    const first = await openOne(sockets, `unix://${path}`);
    unlinkSync(path);
    const second = await openOne(sockets, `unix://${path}`);
    sockets.keep([second]);
    expect([existsSync(path), isOpen(first.descriptor), isOpen(second.descriptor)]).toEqual([true, false, true]);
  });

  it('is left alone if somebody has replaced it', async () => {
    const path = join(temporaryFolder(), 'socket');
    const sockets = newSockets();
    await openOne(sockets, `unix://${path}`);
    unlinkSync(path);
    writeFileSync(path, 'mine');
    sockets.keep([]);
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });
});

function socketsOfProcess(): number {
  let count = 0;
  for (let descriptor = 3; descriptor < 200; descriptor += 1) if (isOpen(descriptor)) count += 1;
  return count;
}
