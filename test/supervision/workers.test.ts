import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DaemonProcess, fixtures, isRunning, type LogLine, type Worker } from '../support/daemon-process.ts';
import { Load } from '../support/load.ts';
import { canListen } from '../support/ports.ts';
import { proxied as datagramOf } from '../support/proxy-datagram.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';

const died = 'worker exited, restarting';
const back = 'worker ready again';
const whoami = { module: join(fixtures, 'whoami.js'), listen: ['tcp://127.0.0.1:0'] };
const echo = { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] };
const time = { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] };

describe('many clients at once', () => {
  it('are spread over the workers', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo } });
    const target = daemon.target('echo', 'tcp');
    const workers = new Set<number>();
    // Workers take from one queue as they find time: a wave of clients may all go to one, wave after wave will not.
    for (let wave = 0; wave < 20 && workers.size < 2; wave += 1) {
      const clients = await Promise.all(Array.from({ length: 100 }, () => TcpClient.connect(target)));
      await Promise.all(clients.map((client, index) => saysBack(client, `client ${index} of wave ${wave}`)));
      // All of them have been answered while all of them were connected.
      for (const client of clients) client.finish();
      await Promise.all(clients.map((client) => client.gone()));
      const { counters } = await daemon.state();
      expect(counters['echo']).toBeDefined();
      for (const line of daemon.linesWith('closed')) workers.add(Number(line['worker']));
    }
    expect(workers).toEqual(new Set([1, 2]));
  });
});

describe('stream limits', () => {
  it('hold for all workers together, and a killed one leaves nothing behind', async () => {
    const limited = { listen: ['tcp://127.0.0.1:0'], exempt: [], maxConnectionsPerSource: 10 };
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo: limited } });
    const target = daemon.target('echo', 'tcp');
    const clients = await connectMany(target);
    expect(await answered(clients)).toHaveLength(10);
    const [victim] = await bothWorkers(daemon);
    process.kill(victim.pid, 'SIGKILL');
    await daemon.line(back, { worker: victim.worker });
    const left = await answered(clients);
    expect(await answered(await connectMany(target))).toHaveLength(10 - left.length);
  });
});

describe('a full service', () => {
  it('makes room for newcomers whichever worker holds its clients', async () => {
    const limited = { ...whoami, exempt: [], maxConnections: 40, maxConnectionsPerSource: 4 };
    const daemon = await DaemonProcess.serve({ workers: 2, services: { whoami: limited } });
    const [holder, other] = await bothWorkers(daemon);
    const target = daemon.target('whoami', 'tcp');
    // Ten sources gather in one worker. They found out by response times which one served them.
    process.kill(other.pid, 'SIGSTOP');
    for (let count = 0; count < 40; count += 1)
      await greeted(await TcpClient.connect({ ...target, localAddress: `127.0.1.${1 + (count % 10)}` }));
    process.kill(other.pid, 'SIGCONT');
    const newcomers: string[] = [];
    for (let count = 1; count <= 20; count += 1)
      newcomers.push(await greeted(await TcpClient.connect({ ...target, localAddress: `127.0.2.${count}` })));
    expect(newcomers.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => `${holder.pid}\n`));
    for (const greeting of newcomers) expect(greeting).toMatch(/^\d+\n$/);
  });
});

describe('a killed worker', () => {
  it('is restarted under load without refusing or disturbing other clients', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo, whoami } });
    const [victim, survivor] = await bothWorkers(daemon);
    const undisturbed = await clientOf(daemon, survivor, victim);
    const load = new Load(daemon.target('echo', 'tcp'));
    await until(() => load.answered > 200, '200 answers');

    process.kill(victim.pid, 'SIGKILL');
    await daemon.line(died, { pid: victim.pid, signal: 'SIGKILL' });
    const answeredAtDeath = load.answered;
    await daemon.line(back, { worker: victim.worker });
    await until(() => load.answered > answeredAtDeath + 200, '200 answers more');
    await load.stop();

    expect(load.refused).toBe(0);
    await saysBack(undisturbed, 'still here');
    expect(undisturbed).toMatchObject({ ended: false, closed: false });
    expect(await daemon.workers()).toHaveLength(2);
  });

  it('hands its UDP sockets over to the other worker at once, on the same ports', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo, time } });
    const client = await UdpClient.open('127.0.0.1');
    const victims = await bothWorkers(daemon);
    // Each owned one of the two services; whichever the first one owned is asked for without a pause.
    process.kill(victims[0].pid, 'SIGKILL');
    await daemon.line(died, { pid: victims[0].pid });
    const asking = setInterval(() => {
      client.send('who is there', daemon.target('echo', 'udp'));
      client.send('', daemon.target('time', 'udp'));
    }, 5);
    try {
      await until(() => new Set(client.replies.map(({ from }) => from.port)).size === 2, 'answers of both services');
    } finally {
      clearInterval(asking);
    }
    // The one that was killed takes longer than that to load: the answers came from the other.
    expect(daemon.linesWith(back)).toEqual([]);
    await daemon.line(back);
    expect((await client.ask('again', daemon.target('echo', 'udp'))).length).toBeGreaterThan(0);
  });

  it('leaves clients and datagrams waiting for the next worker if it was the last', async () => {
    const daemon = await DaemonProcess.serve({ workers: 1, services: { echo } });
    const [{ pid } = { pid: 0 }] = await daemon.workers();
    process.kill(pid, 'SIGKILL');
    await daemon.line(died, { pid });
    // Nobody is there to accept or read.
    const [client, datagrams] = [
      await TcpClient.connect(daemon.target('echo', 'tcp')),
      await UdpClient.open('127.0.0.1'),
    ];
    client.write('patience');
    for (const text of ['one', 'two', 'three']) datagrams.send(text, daemon.target('echo', 'udp'));
    expect(daemon.linesWith(back)).toEqual([]);
    expect(String(await client.take(8))).toBe('patience');
    expect((await datagrams.take(3)).map(String)).toEqual(['one', 'two', 'three']);
    expect(await daemon.stop()).toBe(0);
  });

  it('leaves the flows of proxies to the next one, as does a reload', async () => {
    const proxied = { type: 'echo', listen: ['udp://127.0.0.1:0'], proxyProtocol: { from: ['127.0.0.1'] } };
    const daemon = await DaemonProcess.serve({ workers: 1, services: { proxied } });
    const proxy = await UdpClient.open('127.0.0.1');
    const target = daemon.target('proxied', 'udp');
    await proxy.ask(datagramOf('192.0.2.7', 40_000, 'with a header'), target);
    const [{ pid } = { pid: 0 }] = await daemon.workers();
    process.kill(pid, 'SIGKILL');
    // Only the first of the flow had one.
    expect(String(await proxy.ask('after a death', target))).toBe('after a death');
    daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    expect(String(await proxy.ask('after a reload', target))).toBe('after a reload');
    expect(await daemon.stop()).toBe(0);
  });

  it('is restarted on the same ports even if all workers were killed', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo } });
    for (const { pid } of await bothWorkers(daemon)) process.kill(pid, 'SIGKILL');
    await daemon.waitFor(() => daemon.linesWith(back).length === 2, 'both workers');
    await echoes(daemon);
  });

  it('does not change the ports of a worker that is starting', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo } });
    const [first, second] = await bothWorkers(daemon);
    process.kill(first.pid, 'SIGKILL');
    let started: number | undefined;
    await until(() => {
      started = childrenOf(daemon.pid).find((pid) => pid !== second.pid && pid !== first.pid);
      // Before its exec the child shares the supervisor's memory, and stopping it would stop both (vfork).
      return started !== undefined && readFileSync(`/proc/${started}/cmdline`, 'latin1').includes('worker.js');
    }, 'the next process');
    // Held before it has loaded: no worker serves when the other one dies.
    process.kill(started as unknown as number, 'SIGSTOP');
    process.kill(second.pid, 'SIGKILL');
    await daemon.line(died, { pid: second.pid });
    process.kill(started as unknown as number, 'SIGCONT');
    await daemon.waitFor(() => daemon.linesWith(back).length === 2, 'both workers');
    await echoes(daemon);
  });
});

describe('a hanging worker', () => {
  it('is replaced while the other worker serves', async () => {
    const hangs = { module: join(fixtures, 'hangs.js'), listen: ['tcp://127.0.0.1:0'] };
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo, hangs } });
    const client = await TcpClient.connect(daemon.target('hangs', 'tcp'));
    client.write('!');
    // Only now: a connection that this worker had accepted before would hang with it.
    await daemon.line('worker printed a line', { output: 'hanging' });
    const load = new Load(daemon.target('echo', 'tcp'), 1);
    const { worker } = await daemon.line('worker unresponsive, killing it');
    const answeredWhileHung = load.answered;
    await daemon.line(back, { worker });
    await load.stop();
    expect(answeredWhileHung).toBeGreaterThan(0);
    expect(load.refused).toBe(0);
    expect(daemon.linesWith(died)).toMatchObject([{ worker, signal: 'SIGKILL' }]);
    await echoes(daemon);
  });
});

describe('workers', () => {
  it('leave signals to the supervisor', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo, whoami } });
    const [one, other] = await bothWorkers(daemon);
    const clients = [await clientOf(daemon, one, other), await clientOf(daemon, other, one)];
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const)
      for (const { pid } of [one, other]) process.kill(pid, signal);
    for (const client of clients) await saysBack(client, 'unmoved');
    expect((await daemon.workers()).map(({ pid }) => pid)).toEqual([one.pid, other.pid]);
    expect(daemon.linesWith(died)).toEqual([]);
  });

  it('exit and free the ports when the supervisor is killed', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo, whoami } });
    const workers = await bothWorkers(daemon);
    const client = await clientOf(daemon, ...workers);
    const { port } = daemon.target('echo', 'tcp');
    daemon.signal('SIGKILL');
    await until(() => !workers.some(({ pid }) => isRunning(pid)), 'the end of the workers');
    await client.takeAll().catch(() => {});
    // The supervisor's own copies may be closed after the channels that the workers end with.
    while (!(await canListen(port)));
  });

  it('share one log without broken or lost lines', async () => {
    // A line a client, and several services: each stays within what it may write in a second.
    const options = { lines: 1, bytes: 100_000 };
    const chatty = { module: join(fixtures, 'chatty.js'), listen: ['tcp://127.0.0.1:0'], options };
    const names = Array.from({ length: 20 }, (_, index) => `chatty-${index}`);
    const services = Object.fromEntries(names.map((name) => [name, chatty]));
    const daemon = await DaemonProcess.serve({ workers: 3, log: { connections: 'off' }, services });
    let clients = 0;
    const chatter = (): readonly LogLine[] => daemon.linesWith('chatter');
    // In waves, until several workers have written at the same time.
    while (new Set(chatter().map(({ worker }) => worker)).size < 2 && clients < 400) {
      const wave = await Promise.all(names.map(async (name) => TcpClient.connect(daemon.target(name, 'tcp'))));
      await Promise.all(wave.map((client) => client.takeAll()));
      for (const client of wave) client.finish();
      clients += wave.length;
      await daemon.waitFor(() => chatter().length === clients, `${clients} lines`);
    }
    expect(new Set(chatter().map(({ worker }) => worker)).size).toBeGreaterThan(1);
    expect(chatter().every(({ padding }) => String(padding).length === 100_000)).toBe(true);
  });

  it('do not exist with `workers: 0`', async () => {
    const daemon = await DaemonProcess.serve({ workers: 0, services: { echo } });
    expect(childrenOf(daemon.pid)).toEqual([]);
    await echoes(daemon);
    expect(await daemon.stop()).toBe(0);
  });
});

async function bothWorkers(daemon: DaemonProcess): Promise<readonly [Worker, Worker]> {
  const [one, other] = await daemon.workers();
  if (one === undefined || other === undefined) throw new Error('there are not two workers');
  return [one, other];
}

/** A client of the service `whoami` whom this worker serves: the other one is stopped for the moment, so cannot. */
async function clientOf(daemon: DaemonProcess, worker: Worker, other: Worker): Promise<TcpClient> {
  process.kill(other.pid, 'SIGSTOP');
  try {
    const client = await TcpClient.connect(daemon.target('whoami', 'tcp'));
    await until(() => client.text.endsWith('\n'), 'the greeting');
    expect(client.text).toBe(`${worker.pid}\n`);
    return client;
  } finally {
    process.kill(other.pid, 'SIGCONT');
  }
}

/** What the service `whoami` says at first, or nothing if it refuses the client. */
async function greeted(client: TcpClient): Promise<string> {
  await until(() => client.text.endsWith('\n') || client.ended || client.closed, 'the greeting, or the refusal');
  return client.text;
}

async function saysBack(client: TcpClient, text: string): Promise<void> {
  const before = client.length;
  client.write(text);
  expect((await client.take(before + text.length)).toString().slice(before)).toBe(text);
}

/** Echo answers where it did from the start, over TCP and UDP. */
async function echoes(daemon: DaemonProcess): Promise<void> {
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  await saysBack(client, 'over TCP');
  client.finish();
  const udp = await UdpClient.open('127.0.0.1');
  // A worker that is back opens its UDP sockets a moment later; what comes before is lost.
  const asking = setInterval(() => udp.send('over UDP', daemon.target('echo', 'udp')), 20);
  try {
    expect((await udp.take(1))[0]?.toString()).toBe('over UDP');
  } finally {
    clearInterval(asking);
  }
}

function childrenOf(parent: number): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => parentOf(pid) === parent).map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

async function connectMany(target: Parameters<typeof TcpClient.connect>[0]): Promise<readonly TcpClient[]> {
  return Promise.all(Array.from({ length: 30 }, async () => TcpClient.connect(target)));
}

/** Those that are served. */
async function answered(clients: readonly TcpClient[]): Promise<readonly TcpClient[]> {
  const before = new Map(clients.map((client) => [client, client.length]));
  const isAnswered = (client: TcpClient): boolean => client.length > (before.get(client) ?? 0);
  for (const client of clients) client.write('x');
  const isSettled = (client: TcpClient): boolean => isAnswered(client) || client.ended || client.closed;
  await until(() => clients.every(isSettled), 'all outcomes');
  return clients.filter(isAnswered);
}
