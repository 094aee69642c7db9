/** Attack 14: services that throw, flood or hang, beside others in the same workers. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { DaemonProcess, fixtures } from '../support/daemon-process.ts';
import { Load } from '../support/load.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';
import { DatagramRegular } from './datagram-regular.ts';
import { type Bound, holds } from './figures.ts';
import { Regulars } from './regulars.ts';

const attack = 14;
const listen = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];
const misbehaving = fileURLToPath(new URL('../support/services/', import.meta.url));
/** Everywhere that a service is called when a client is there. */
const places = ['stream', 'data', 'end', 'drained', 'closed', 'datagram'];
const none: Bound = { atLeast: 0, atMost: 0 };
/** Of what floods, a client takes so much, and then goes. */
const takenBytes = 64 * 1024 * 1024;

/** Clients of services that throw, at each place where they can. */
export async function serveBesideThrowing(rounds: number): Promise<void> {
  const throwing = places.flatMap((where) =>
    ['error', 'promise'].map((returned) => {
      const module = join(misbehaving, 'throws.js');
      return [`throws-${where}-${returned}`, { module, listen, options: { where, returned } }] as const;
    }),
  );
  const daemon = await serve(Object.fromEntries(throwing));
  const udp = await UdpClient.open('127.0.0.1');
  const lost = await answersLost(daemon, async () => {
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(
        throwing.map(async ([name]) => {
          udp.send('boom', daemon.target(name, 'udp'));
          const client = await TcpClient.connect(daemon.target(name, 'tcp'));
          client.finish('boom');
          await client.gone();
        }),
      );
    }
  });
  // Each throws over one of the two transports.
  holds(
    attack,
    `services throw ${(rounds * throwing.length).toLocaleString('en')} times: answers of others lost`,
    lost,
    none,
  );
}

/** Clients of a service that sends as much as it can, of which some take nothing. */
export async function serveBesideFlooding(clients: number): Promise<void> {
  const daemon = await serve({ floods: { module: join(misbehaving, 'floods.js'), listen } });
  const target = daemon.target('floods', 'tcp');
  const udp = await UdpClient.open('127.0.0.1');
  const lost = await answersLost(daemon, async () => {
    const stalled = await Promise.all(
      Array.from({ length: clients }, async () => TcpClient.connect(target, { reads: false })),
    );
    await Promise.all(
      Array.from({ length: clients }, async () => {
        for (const text of ['one', 'thousand']) udp.send(text, daemon.target('floods', 'udp'));
        const { socket } = await TcpClient.connect(target, { reads: false });
        socket.resume();
        await until(() => socket.bytesRead > takenBytes, 'the flood');
        socket.destroy();
      }),
    );
    for (const { socket } of stalled) socket.destroy();
  });
  holds(attack, `a service floods ${2 * clients} clients: answers of others lost`, lost, none);
}

/** A client that makes its worker hang, and others who come meanwhile. */
export async function serveBesideHanging(): Promise<void> {
  const daemon = await serve({ hangs: { module: join(fixtures, 'hangs.js'), listen: ['tcp://127.0.0.1:0'] } });
  const client = await TcpClient.connect(daemon.target('hangs', 'tcp'));
  const hungMs = performance.now();
  client.write('!');
  // From now on its worker takes nobody; whom it had taken before would hang with it.
  await daemon.line('worker printed a line', { output: 'hanging' });
  const load = new Load(daemon.target('echo', 'tcp'), 2);
  // One of the two services has its sockets in the worker that hangs, the other in the other.
  const services = ['echo', 'time'];
  const askers = await Promise.all(services.map(async (name) => DatagramRegular.of(daemon.target(name, 'udp'))));
  const { worker } = await daemon.line('worker unresponsive, killing it');
  await daemon.line('worker ready again', { worker });
  const seconds = (performance.now() - hungMs) / 1000;
  await Promise.all([load.stop(), ...askers.map(async (asker) => asker.stop())]);
  const time = { unit: ' s', digits: 1, isTime: true };
  holds(attack, 'a service hangs: seconds until its worker is replaced', seconds, { atMost: 7, ...time });
  const { answered, failed, refused } = load;
  expect(answered).toBeGreaterThan(0);
  holds(attack, 'a service hangs: requests of others meanwhile, over TCP, that were lost', failed + refused, none);
  const silences = askers.map(({ longestSilenceMs }) => longestSilenceMs / 1000);
  const [hung, other] = [Math.max(...silences), Math.min(...silences)];
  holds(attack, 'a service hangs: seconds without answers over UDP in its worker', hung, { atMost: 7, ...time });
  holds(attack, 'a service hangs: the same in the other worker', other, { atMost: 1, ...time });
}

async function serve(bad: object): Promise<DaemonProcess> {
  return DaemonProcess.serve({
    workers: 2,
    log: { connections: 'off' },
    services: { ...bad, echo: { listen }, time: { listen } },
  });
}

/**
 * How many requests of well-behaved clients, old and new, over TCP and UDP, are not answered while the others do their
 * worst.
 */
async function answersLost(daemon: DaemonProcess, worst: () => Promise<void>): Promise<number> {
  const regulars = await Regulars.connect(daemon.target('echo', 'tcp'), 4);
  const load = new Load(daemon.target('echo', 'tcp'), 2);
  const datagrams = await DatagramRegular.of(daemon.target('echo', 'udp'));
  await worst();
  await Promise.all([regulars.stop(), load.stop(), datagrams.stop()]);
  expect(Math.min(regulars.answered, load.answered, datagrams.answered)).toBeGreaterThan(0);
  return regulars.asked - regulars.answered + load.failed + load.refused + datagrams.asked - datagrams.answered;
}
