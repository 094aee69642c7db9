/** Attacks 1, 6 and 10 against services that misbehave on purpose: what faults hold back is bounded, too. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { DaemonProcess, inOneProcess, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { within } from '../support/wait.ts';
import { DaemonProgram } from '../system/program.ts';
import { holds } from './figures.ts';
import { askRegularly } from './flood.ts';
import { Forger, forgerAddress, serverAddress } from './forger.ts';
import { trafficOf } from './packets.ts';
import { askProbe, heldBytes, probeModule } from './probe.ts';
import { Regulars } from './regulars.ts';
import { sockets } from './sockets.ts';

export interface FaultyService {
  /** For the report. */
  readonly name: string;
  /** As in a config. */
  readonly faults: object;
}

const faultyPort = 7007;
const otherPort = 7008;
const adminPort = 7009;
const sources = 1000;
/** Spread over 10.0.0.0/8, each in a network of its own. */
const step = 16_000;
const mebibyte = 2 ** 20;
/** `maxDelayed` allows 10,000 replies, about 35 MiB with all garbage. All that arrive would be more than 100 MiB. */
const mostGrowth = 64;

/** A daemon with a faulty echo and one that behaves, in the forger's other network. */
async function serveFaulty(forger: Forger, faults: object): Promise<DaemonProgram> {
  const config = writeConfig({
    workers: 1,
    sockets,
    admin: { listen: `tcp://127.0.0.1:${adminPort}` },
    services: {
      faulty: { type: 'echo', listen: [`udp4://${serverAddress}:${faultyPort}`], faults },
      echo: { listen: [`udp4://${serverAddress}:${otherPort}`] },
    },
  });
  const daemon = new DaemonProgram(['--config', config], (argv) => forger.server.inside(argv));
  await daemon.ready();
  return daemon;
}

/** Resident memory of a process in bytes: now, and the most that it ever had. */
function residentBytes(pid: number): { readonly now: number; readonly most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { now: field('VmRSS'), most: field('VmHWM') };
}

function metricsUrl(port: number): string {
  return `http://127.0.0.1:${port}/metrics`;
}

/** The sum of a counter of the faulty service. */
function counted(metrics: string, name: string): number {
  const samples = metrics.matchAll(new RegExp(`^${name}\\{service="faulty".*\\} (\\d+)$`, 'gm'));
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Floods it from many sources, while a client asks the other service. */
export async function floodOfDatagrams({
  name,
  faults,
  rate,
  seconds,
}: FaultyService & { readonly rate: number; readonly seconds: number }): Promise<void> {
  const forger = new Forger();
  const daemon = await serveFaulty(forger, faults);
  const [worker = 0] = daemon.workers;
  await askRegularly(forger.network, { from: forgerAddress, to: serverAddress, port: otherPort, seconds: 1 });
  const before = residentBytes(worker).now;
  const flood = forger.send({
    port: faultyPort,
    from: '10.0.0.1',
    sources,
    step,
    sourcePort: '40000-59999',
    length: 64,
    rate,
    count: rate * (seconds + 2),
    seconds: seconds + 2,
  });
  const questions = { from: forgerAddress, to: serverAddress, port: otherPort, seconds };
  const { asked, answered } = await askRegularly(forger.network, questions);
  await flood;
  expect(daemon.workers).toEqual([worker]);
  // The flood has arrived, and the faults have acted.
  const [command = '', ...argv] = forger.server.inside(['curl', '--silent', metricsUrl(adminPort)]);
  const metrics = execFileSync(command, argv);
  expect(counted(String(metrics), 'smallservd_datagrams_received_total')).toBeGreaterThan(rate);
  expect(counted(String(metrics), 'smallservd_faults_total')).toBeGreaterThan(0);
  const grown = (residentBytes(worker).most - before) / mebibyte;
  const who = `faults (${name}), 1,000 sources, ${rate.toLocaleString('en')}/s`;
  holds(6, `${who}: growth of resident memory`, grown, { atMost: mostGrowth, unit: ' MiB', digits: 1 });
  const share = (answered / asked) * 100;
  holds(6, `${who}: requests to another service answered`, share, { atLeast: 99, unit: '%', digits: 1 });
}

/** Few enough requests that no rate refuses one, so that all copies are made. */
export async function amplifyByFaults(name: string, faults: object): Promise<void> {
  const forger = new Forger();
  await serveFaulty(forger, faults);
  const flood = { port: faultyPort, from: '10.0.0.1', sources, step, sourcePort: 40_000, length: 64 };
  const capture = await forger.watch([faultyPort], async () => {
    await forger.send({ ...flood, count: sources, rate: 1000 });
    await pause(500);
  });
  const { to, from } = trafficOf(capture, faultyPort);
  expect(to.packets).toBe(sources);
  expect(from.packets, 'no copies were sent').toBeGreaterThan(sources);
  const what = `echo with faults (${name}), 1,000 sources, requests of 64 bytes: bytes out / bytes in`;
  holds(1, what, from.bytes / to.bytes, { atMost: 2, digits: 3 });
}

const listen = ['tcp://127.0.0.1:0'];
const question = Buffer.alloc(128 * 1024, 'more ');
const clientsPerSource = 90;
const regularClients = 20;
/** `maxDelayed` allows 16 MiB; in addition each connection has its objects, and a chunk that waits for room. */
const mostHeld = 64;

/** Connects that many clients, each of which sends much, while others ask another service of the same process. */
export async function floodOfConnections({
  name,
  faults,
  clients,
}: FaultyService & { readonly clients: number }): Promise<void> {
  const admin = await freePort();
  const daemon = await DaemonProcess.serve({
    ...inOneProcess,
    sockets,
    admin: { listen: `tcp://127.0.0.1:${admin}` },
    log: { connections: 'off' },
    defaults: { exempt: [], stallTimeout: '5m', connectionRate: { perSecond: 10_000, burst: 10_000 } },
    services: {
      faulty: { type: 'echo', listen, faults },
      echo: { listen },
      probe: { module: probeModule, listen },
    },
  });
  const target = daemon.target('faulty', 'tcp');
  const probe = daemon.target('probe', 'tcp');
  const regulars = await Regulars.connect(daemon.target('echo', 'tcp'), regularClients);
  await askProbe(probe);
  const before = await askProbe(probe);
  const connected = Array.from({ length: clients }, (_, index) =>
    connectFrom(`127.0.1.${1 + Math.floor(index / clientsPerSource)}`, target),
  );
  await within(Promise.all(connected), `${clients} connections`, 60_000);
  let most = 0;
  for (let look = 0; look < 10; look += 1) {
    most = Math.max(most, heldBytes(await askProbe(probe)) - heldBytes(before));
    await pause(200);
  }
  await regulars.stop();
  const metrics = await (await fetch(metricsUrl(admin))).text();
  expect(counted(metrics, 'smallservd_connections_accepted_total')).toBe(clients);
  expect(counted(metrics, 'smallservd_faults_total')).toBeGreaterThan(0);
  const who = `faults (${name}), ${clients} clients that send 128 KiB each`;
  holds(10, `${who}: memory held`, most / mebibyte, { atMost: mostHeld, unit: ' MiB', digits: 1 });
  const share = regulars.answeredPercent;
  holds(10, `${who}: requests to another service answered`, share, { atLeast: 99, unit: '%', digits: 1 });
}

/** It reads nothing, and stays until the end of the test. */
async function connectFrom(localAddress: string, target: { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ ...target, localAddress });
    onTestFinished(() => void socket.destroy());
    socket.pause();
    socket.on('error', reject);
    socket.write(question);
    socket.on('connect', resolve);
  });
}
