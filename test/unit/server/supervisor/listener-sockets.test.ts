import { closeSync, fstatSync, existsSync, readFileSync, writeFileSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseListenAddress } from '../../../../src/address/listen-address.ts';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { requireLibc } from '../../../../src/kernel/libc.ts';
import { listenTcp } from '../../../../src/kernel/sockets.ts';
import { ListenerSockets, type OpenListener } from '../../../../src/server/supervisor/listener-sockets.ts';
import { socketAccessFor } from '../../../../src/server/supervisor/socket-access.ts';
import { planListeners, type PlannedListener } from '../../../../src/server/transport/plan.ts';
import type { ListenTarget } from '../../../../src/server/transport/listener.ts';
import type { OpenOptions } from '../../../../src/server/transport/open-when-there.ts';
import { FakeClock, pass } from '../../../support/fake-clock.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { load } from '../config/sources.ts';

const { config } = await load('services: { echo: { listen: "tcp://127.0.0.1:0" } }');

function newSockets(): ListenerSockets {
  const sockets = new ListenerSockets();
  onTestFinished(async () => {
    sockets.keep([]);
    await sockets.closed;
  });
  return sockets;
}

async function planOf(...listen: readonly string[]): Promise<readonly PlannedListener[]> {
  const service = { name: 'echo', listen: listen.map((text) => parseListenAddress(text, () => undefined)) };
  return planListeners({ services: [service] }, new Map(), socketAccessFor(null));
}

async function open(
  sockets: ListenerSockets,
  plan: readonly PlannedListener[],
  options: OpenOptions = { clock: new FakeClock(), isStopping: () => false },
): Promise<readonly OpenListener[]> {
  return sockets.open(plan, options, config.services);
}

/** Opens one listener. */
async function openOne(sockets: ListenerSockets, text: string): Promise<OpenListener> {
  const [listener] = await open(sockets, await planOf(text));
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
    const path = join(temporaryDirectory(), 'socket');
    const opened = await open(
      newSockets(),
      await planOf(`unix://${path}`, 'tcp://127.0.0.1:0', 'udp://127.0.0.3:0', 'tcp://[::1]:0'),
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
    const [first, second] = await open(sockets, await planOf('tcp://127.0.0.1:0', 'udp://127.0.0.1:0'));
    const next = await open(sockets, await planOf('udp://127.0.0.1:0', 'tcp://127.0.0.2:0'));
    expect(next[0]?.descriptor).toBe(second?.descriptor);
    expect(isOpen(first!.descriptor)).toBe(true);
    sockets.keep(next);
    expect(isOpen(first!.descriptor)).toBe(false);
    expect(next.map(({ descriptor }) => isOpen(descriptor))).toEqual([true, true]);
  });

  it('has memory for the flows of proxies, one for each UDP socket, for as long as that is kept', async () => {
    const proxied = await load('services: { echo: { listen: "tcp://127.0.0.1:0", proxyProtocol: { from: [::1] } } }');
    const sockets = newSockets();
    const options = { clock: new FakeClock(), isStopping: () => false };
    const openProxied = async (...texts: readonly string[]): Promise<readonly OpenListener[]> =>
      sockets.open(await planOf(...texts), options, proxied.config.services);
    const [direct] = await open(sockets, await planOf('udp://127.0.0.1:0'));
    expect(direct?.flowMemory).toBeUndefined();
    const first = await openProxied('udp://127.0.0.1:0', 'udp://127.0.0.2:0', 'tcp://127.0.0.1:0');
    const memories = first.map(({ flowMemory }) => flowMemory);
    expect(first[0]?.descriptor).toBe(direct?.descriptor);
    expect(memories.map((memory) => memory !== undefined && memory > 0)).toEqual([true, true, false]);
    expect(memories[0]).not.toBe(memories[1]);
    sockets.keep(first);
    const second = await openProxied('udp://127.0.0.2:0');
    expect(second[0]?.flowMemory).toBe(memories[1]);
    sockets.keep(second);
    expect(() => fstatSync(memories[0] ?? -1)).toThrow('EBADF');
    expect(fstatSync(memories[1] ?? -1).size).toBeGreaterThan(0);
    sockets.keep([]);
    expect(() => fstatSync(memories[1] ?? -1)).toThrow('EBADF');
  });

  it('has none any more when its service has no proxies, and none of the flows if it has some again', async () => {
    const proxied = await load('services: { echo: { listen: "udp://127.0.0.1:0", proxyProtocol: { from: [::1] } } }');
    const sockets = newSockets();
    const options = { clock: new FakeClock(), isStopping: () => false };
    const plan = await planOf('udp://127.0.0.1:0');
    const first = await sockets.open(plan, options, proxied.config.services);
    sockets.keep(first);
    const direct = await open(sockets, plan);
    // A reload can still fail.
    expect(fstatSync(first[0]?.flowMemory ?? -1).size).toBeGreaterThan(0);
    sockets.keep(direct);
    expect(direct).toEqual([{ ...first[0], flowMemory: undefined }]);
    expect(() => fstatSync(first[0]?.flowMemory ?? -1)).toThrow('EBADF');
    const again = await sockets.open(plan, options, proxied.config.services);
    expect(again[0]?.descriptor).toBe(first[0]?.descriptor);
    expect(fstatSync(again[0]?.flowMemory ?? -1).size).toBeGreaterThan(0);
    sockets.keep(direct);
    expect(() => fstatSync(again[0]?.flowMemory ?? -1)).toThrow('EBADF');
  });

  it('leaves everything as it was if a listener cannot be opened', async () => {
    const sockets = newSockets();
    const first = await openOne(sockets, 'tcp://127.0.0.1:0');
    const taken = await openOne(newSockets(), 'tcp://127.0.0.2:0');
    const next = await planOf('udp://127.0.0.9:0', `tcp://127.0.0.2:${taken.bound.port}`);
    const before = socketsOfProcess();
    await expect(open(sockets, next)).rejects.toThrow(/echo: cannot listen on tcp:.*in use by another program/);
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
      const next = await open(sockets, plan);
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
    const other = listenTcp({ family: 'ipv4', ip: parseIp('127.0.0.2')!, port, interfaceIndex: 0 }, 16);
    onTestFinished(() => closeSync(other));
    await expect(openOne(sockets, `tcp4://*:${port}`)).rejects.toThrow(
      new RegExp(`tcp4://\\*:${port}: it overlaps with echo: tcp4://127.0.0.1:${port}, which is open now`),
    );
    expect(isOpen(one.descriptor)).toBe(true);
  });

  it.runIf(process.geteuid?.() === 0)('as root, allows overlaps before any worker has the socket', async () => {
    const SO_REUSEPORT = 15;
    for (const text of ['tcp4://127.0.0.1:0', 'udp6://[::1]:0']) {
      const { descriptor } = await openOne(newSockets(), text);
      const [value, length] = [new Uint8Array(4), new Uint32Array([4])];
      expect(requireLibc().getsockopt(descriptor, 1, SO_REUSEPORT, value, length)).toBe(0);
      expect(value[0], text).toBe(1);
    }
  });

  it('skips a family that the machine lacks, unless nothing else serves', async () => {
    const [planned] = await planOf('tcp6://[2001:db8::1]:0');
    const absent = { ...planned!, optional: true };
    const [other] = await planOf('tcp://127.0.0.1:0');
    const sockets = newSockets();
    expect(await open(sockets, [absent, { ...other!, id: 1 }])).toHaveLength(1);
    const clock = new FakeClock();
    const alone = open(newSockets(), [absent], { clock, isStopping: () => false });
    void pass(clock, 5000);
    await expect(alone).rejects.toThrow('this machine does not have the address 2001:db8::1');
  });

  it('opens an address that this machine does not have yet if asked', async () => {
    const [planned] = await planOf('tcp://192.0.2.254:0');
    const target = { ...planned!.target, freebind: true } as ListenTarget;
    const [listener] = await open(newSockets(), [{ ...planned!, target }]);
    expect(listener?.bound.address).toBe('192.0.2.254');
  });

  it('keeps the others open while it waits for an address, and closes them in the end', async () => {
    const path = join(temporaryDirectory(), 'socket');
    const sockets = newSockets();
    const clock = new FakeClock();
    const before = socketsOfProcess();
    const opening = open(sockets, await planOf('tcp://192.0.2.254:0', `unix://${path}`), {
      clock,
      isStopping: () => false,
    });
    const failure = expect(opening).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
    await pass(clock, 4750);
    expect([existsSync(path), socketsOfProcess()]).toEqual([true, before + 1]);
    await pass(clock, 250);
    await failure;
    expect([existsSync(path), socketsOfProcess()]).toEqual([false, before]);
  });

  it('closes nothing twice if everything is closed while it waits', async () => {
    const sockets = newSockets();
    const clock = new FakeClock();
    let isStopping = false;
    const before = socketsOfProcess();
    const plan = await planOf('tcp://127.0.0.1:0', 'tcp://192.0.2.254:0');
    const opening = open(sockets, plan, { clock, isStopping: () => isStopping });
    const failure = expect(opening).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
    await pass(clock, 250);
    isStopping = true;
    sockets.keep([]);
    await sockets.closed;
    // It gets the number of the descriptor that was just closed.
    await openOne(newSockets(), 'tcp://127.0.0.1:0');
    await pass(clock, 250);
    await failure;
    expect(socketsOfProcess()).toBe(before + 1);
  });

  it('never closes an inherited socket', async () => {
    const inherited = await openOne(newSockets(), 'tcp://127.0.0.1:0');
    const sockets = newSockets();
    const target = { transport: 'tcp', fd: inherited.descriptor } as const;
    const planned: PlannedListener = { id: 0, service: 'echo', text: 'fd://9', target, optional: false };
    const [listener] = await open(sockets, [planned]);
    expect(listener?.bound).toEqual(inherited.bound);
    sockets.keep([]);
    expect(isOpen(inherited.descriptor)).toBe(true);
    // A worker can hold its lock, and whoever asks for its address then waits.
    const asked = vi.spyOn(requireLibc(), 'getsockname');
    onTestFinished(() => asked.mockRestore());
    const [again] = await open(sockets, [planned]);
    expect([again?.descriptor, again?.bound]).toEqual([inherited.descriptor, inherited.bound]);
    expect(asked.mock.calls).toEqual([]);
  });
});

describe('the file of a UNIX socket', () => {
  it('is removed when its listener closes', async () => {
    const path = join(temporaryDirectory(), 'socket');
    const sockets = newSockets();
    await openOne(sockets, `unix://${path}`);
    expect(existsSync(path)).toBe(true);
    sockets.keep([]);
    expect(existsSync(path)).toBe(false);
  });

  it('is created again by the next open if somebody has removed it', async () => {
    const path = join(temporaryDirectory(), 'socket');
    const sockets = newSockets();
    const first = await openOne(sockets, `unix://${path}`);
    unlinkSync(path);
    const second = await openOne(sockets, `unix://${path}`);
    sockets.keep([second]);
    expect([existsSync(path), isOpen(first.descriptor), isOpen(second.descriptor)]).toEqual([true, false, true]);
  });

  it('is left alone if somebody has replaced it', async () => {
    const path = join(temporaryDirectory(), 'socket');
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
