/**
 * Attacks 8 and 9: clients that take nothing, or a byte a second, of what there is for them. Those of echo write
 * without end, too. Those of finger ask for 4 MB.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { sweepPeriodMs } from '../../src/server/guard/deadlines.ts';
import { DaemonProcess, inOneProcess } from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { until, within } from '../support/wait.ts';
import { holds } from './figures.ts';
import { descriptorsLeft, settledDescriptors } from './open-descriptors.ts';
import { askProbe, heldBytes, type Probe, probeModule } from './probe.ts';
import { sockets } from './sockets.ts';
import { countsThat } from './stream-counts.ts';

export interface SlowClients {
  readonly service: 'chargen' | 'echo' | 'finger';
  readonly takes: 'nothing' | 'one byte a second';
  readonly clients: number;
  readonly stallTimeoutMs: number;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

const listen = ['tcp://127.0.0.1:0'];
const outOfReach = 1_000_000;
const mostBytesHeld = 128 * 1024;
const piece = Buffer.alloc(256 * 1024, 'more ');
const warmingPieces = 64;
/** Of finger: the first lines of all plans. */
const query = '/W\r\n';
const plans = 63;
const planBytes = 65_536;
const lookEveryMs = 50;
/** States of TCP, as the kernel numbers them. */
const established = '01';
const listening = '0A';
const endWithinMs = 30_000;

/** Connects all of them at once to a daemon of their own, and watches it until it has cut them. */
export async function stall({ service, takes, clients, stallTimeoutMs }: SlowClients): Promise<void> {
  const daemon = await DaemonProcess.serve({
    ...inOneProcess,
    sockets,
    log: { connections: 'off' },
    defaults: {
      exempt: [],
      maxConnections: outOfReach,
      maxConnectionsPerSource: outOfReach,
      connectionRate: { perSecond: outOfReach, burst: outOfReach },
    },
    services: {
      [service]: { listen, stallTimeout: `${stallTimeoutMs}ms`, ...optionsOf(service) },
      probe: { module: probeModule, listen },
    },
  });
  const target = daemon.target(service, 'tcp');
  const probe = daemon.target('probe', 'tcp');
  const before = await measureWarm(target, probe, service);
  const descriptors = await settledDescriptors(daemon.pid);

  await Promise.all(Array.from({ length: clients }, () => connectSlowly(target, { service, takes })));
  let mostHeld = Number.NEGATIVE_INFINITY;
  let waiting = 0;
  let progressMs = performance.now();
  const watch = async (): Promise<void> => {
    for (let queues = queuesOf(target.port); queues.length > 0; queues = queuesOf(target.port)) {
      if (queues.length === clients && sum(queues) !== waiting) {
        waiting = sum(queues);
        progressMs = performance.now();
      }
      const held = heldBytes(await askProbe(probe)) - heldBytes(before);
      // Where some were cut meanwhile, nobody knows how many it was held for; and for a few, what is held anyway counts
      // too much.
      const isCertain = queues.length > clients / 2 && queuesOf(target.port).length === queues.length;
      if (isCertain) mostHeld = Math.max(mostHeld, held / queues.length);
      await pause(lookEveryMs);
    }
  };
  await within(watch(), `the end of ${clients} clients of ${service} that take ${takes}`, endWithinMs);
  if (mostHeld === Number.NEGATIVE_INFINITY) throw new Error('the daemon cut its clients before it was looked at');
  const secondsUntilCut = (performance.now() - progressMs) / 1000;

  const kernelBytes = sum(queuesOf(target.port, (state) => state !== listening));
  const counts = await countsThat(daemon, ({ [service]: stream }) => stream?.active === 0);
  const attack = service === 'echo' && takes === 'nothing' ? 9 : 8;
  const who = `${service}, a client that reads ${takes}`;
  holds(attack, `${who}: bytes held for it`, mostHeld, { atMost: mostBytesHeld, unit: ' bytes' });
  const lookPeriodMs = sweepPeriodMs({
    stallTimeoutMs,
    idleTimeoutMs: Infinity,
    maxLifetimeMs: Infinity,
    lingerTimeoutMs: Infinity,
  });
  holds(attack, `${who}: seconds until it is disconnected (stallTimeout ${stallTimeoutMs / 1000}s)`, secondsUntilCut, {
    // Two looks of the daemon, and one for our own.
    atMost: (stallTimeoutMs + 3 * lookPeriodMs) / 1000,
    unit: ' s',
    digits: 1,
    isTime: true,
  });
  holds(attack, `${who}: ended as stalled, of ${clients}`, counts[service]?.closed.stalled ?? 0, {
    atLeast: clients,
    atMost: clients,
  });
  holds(attack, `${who}: bytes that the kernel still holds for ${clients} of them`, kernelBytes, {
    atMost: 0,
    unit: ' bytes',
  });
  holds(attack, `${who}: sockets left`, await descriptorsLeft(daemon.pid, descriptors), { atMost: 0 });
}

/** What the daemon holds before. Code is compiled as it runs: so one client has come, taken a lot, and gone. */
async function measureWarm(target: Target, probe: Target, service: SlowClients['service']): Promise<Probe> {
  const client = await TcpClient.connect(target);
  if (service === 'echo') for (let times = 0; times < warmingPieces; times += 1) client.write(piece);
  if (service === 'finger') client.write(query);
  await client.take(service === 'finger' ? plans * planBytes : warmingPieces * piece.length);
  client.abort();
  await askProbe(probe);
  return await askProbe(probe);
}

async function connectSlowly(
  target: Target,
  { service, takes }: Pick<SlowClients, 'service' | 'takes'>,
): Promise<void> {
  // With a buffer of one byte Node takes no more than that from the kernel, and `false` stops it.
  const socket = connect({ ...target, onread: { buffer: new Uint8Array(1), callback: () => false } });
  socket.pause();
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await until(() => !socket.connecting, 'a connection');
  if (takes === 'one byte a second') {
    const timer = setInterval(() => socket.resume(), 1000);
    socket.on('close', () => clearInterval(timer));
  }
  const write = (error?: Error | null): void => {
    if (!error && !socket.destroyed) socket.write(piece, write);
  };
  if (service === 'echo') write();
  if (service === 'finger') socket.write(query);
}

function optionsOf(service: SlowClients['service']): object {
  if (service !== 'finger') return {};
  const directory = mkdtempSync(join(tmpdir(), 'smallservd-plans-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (let number = 0; number < plans; number += 1)
    writeFileSync(join(directory, `user${number}`), 'x'.repeat(planBytes));
  return { show: 'plans', plans: directory };
}

function isOpen(state: string): boolean {
  return state === established;
}

/**
 * For each connection of a port in one of the states, the bytes that wait in the daemon's kernel for the client:
 * proc(5), /proc/net/tcp.
 */
function queuesOf(port: number, isCounted: (state: string) => boolean = isOpen): readonly number[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address = '', , state = '']) => address.endsWith(local) && isCounted(state))
    .map(([, , , , queues = '']) => Number.parseInt(queues, 16));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
