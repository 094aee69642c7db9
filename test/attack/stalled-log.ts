/** Attack 13: whoever reads the daemon's log stops reading, while clients and bad datagrams give it a lot to log. */
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Snapshot } from '../../src/server/admin/snapshot.ts';
import { DaemonProcess, fixtures } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { compare, holds } from './figures.ts';
import { IdleThread } from './idle-thread.ts';
import { askProbe, probeModule } from './probe.ts';
import { Regulars } from './regulars.ts';

interface Target {
  readonly host: string;
  readonly port: number;
}

const attack = 13;
const workers = 2;
/**
 * Each of these services logs a line for each of its clients. They are many, since a service may write 100 lines a
 * second.
 */
const chatties = Array.from({ length: 20 }, (_, index) => `chatty-${index}`);
/** Bytes of such a line: so that all buffers are full after some hundred. */
const lineBytes = 60_000;
/** Well-behaved clients of echo, from before the attack until after it. */
const regulars = 10;
const atOnce = 5;
const badDatagramsAClient = 10;
const deniedAddress = '127.0.0.9';
const longestGapMs = 50;
/** More often than that the daemon says the same figure again. */
const statusEveryMs = 600;
const tcp = ['tcp://127.0.0.1:0'];

/** Connects so many clients while the reader stalls, each with its bad datagrams. */
export async function stallTheLogReader({ clients }: { readonly clients: number }): Promise<void> {
  const admin = { host: '127.0.0.1', port: await freePort() };
  const chatty = { module: join(fixtures, 'chatty.js'), listen: tcp, options: { lines: 1, bytes: lineBytes } };
  const daemon = await DaemonProcess.serve({
    workers,
    admin: { listen: `tcp://${admin.host}:${admin.port}` },
    services: {
      ...Object.fromEntries(chatties.map((name) => [name, chatty])),
      echo: { listen: [...tcp, 'udp://127.0.0.1:0'], deny: [deniedAddress] },
      probe: { module: probeModule, listen: tcp },
    },
  });
  const probe = daemon.target('probe', 'tcp');
  const customers = await Regulars.connect(daemon.target('echo', 'tcp'), regulars);
  await gapOfWorkers(probe);
  await statusOf(admin);

  const idle = await IdleThread.start();
  daemon.stall();
  const over = new AbortController();
  const supervisorLag = longestLag(admin, over.signal);
  const stranger = await UdpClient.open(deniedAddress);
  let next = 0;
  let answered = 0;
  const comeAndGo = async (): Promise<void> => {
    while (next < clients) {
      const name = chatties[next % chatties.length] ?? '';
      next += 1;
      for (let each = 0; each < badDatagramsAClient; each += 1) stranger.send('bad', daemon.target('echo', 'udp'));
      if (await isServed(daemon, name)) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, comeAndGo));
  const workersGapMs = await gapOfWorkers(probe);
  over.abort();
  const supervisorGapMs = await supervisorLag;
  // A virtual machine stands still now and then: that is none of ours.
  const machineGapMs = await idle.stop();
  await customers.stop();

  daemon.resume();
  const lost = (): number => daemon.lines.reduce((sum, line) => sum + lostLines(line), 0);
  const told = (): number => daemon.linesWith('chatter').length + lost();
  await daemon.waitFor(() => told() >= clients, `${clients} lines, or that they are lost`);

  compare('smallservd', attack, 'longest gap of an idle thread meanwhile', machineGapMs, { unit: ' ms', digits: 1 });
  const gap = { atMost: longestGapMs + machineGapMs, unit: ' ms', digits: 1, isTime: true };
  holds(attack, 'longest gap of the event loop of a worker', workersGapMs, gap);
  holds(attack, 'longest gap of the event loop of the supervisor', supervisorGapMs, gap);
  const all = { atLeast: 100, atMost: 100, unit: '%' };
  holds(attack, 'requests of connected clients answered meanwhile', customers.answeredPercent, all);
  holds(attack, 'clients that connected meanwhile and were served', (answered / clients) * 100, all);
  holds(attack, 'lost lines that the log reports afterwards', lost(), { atLeast: 1 });
}

/** A client of two services: the one that makes the daemon log, and echo, whose lines are fewer. */
async function isServed(daemon: DaemonProcess, name: string): Promise<boolean> {
  const chatty = await TcpClient.connect(daemon.target(name, 'tcp'));
  await chatty.takeAll();
  chatty.finish();
  const echo = await TcpClient.connect(daemon.target('echo', 'tcp'));
  echo.finish('hello');
  return (await echo.takeAll()).toString() === 'hello';
}

function lostLines({ msg, lines }: { readonly msg: string; readonly lines?: unknown }): number {
  return msg.startsWith('log lines lost') ? Number(lines) : 0;
}

/**
 * The longest gap of any worker since this was last asked, in milliseconds. Each new connection goes to one of them: to
 * which, the kernel says.
 */
async function gapOfWorkers(probe: Target): Promise<number> {
  const gaps = new Map<number, number>();
  while (gaps.size < workers) {
    const { pid, gapMs } = await askProbe(probe);
    gaps.set(pid, Math.max(gapMs, gaps.get(pid) ?? 0));
  }
  return Math.max(...gaps.values());
}

/** Asks for the lag of the supervisor until the signal; resolves with the longest, in milliseconds. */
async function longestLag(admin: Target, signal: AbortSignal): Promise<number> {
  let longestMs = 0;
  for (let isLast = false; !isLast; ) {
    await new Promise((resolve) => {
      setTimeout(resolve, statusEveryMs);
    });
    isLast = signal.aborted;
    longestMs = Math.max(longestMs, (await statusOf(admin)).supervisor.lagMs);
  }
  return longestMs;
}

async function statusOf(admin: Target): Promise<Snapshot> {
  const asked = request({ ...admin, path: '/status', agent: false }).end();
  const [response] = (await once(asked, 'response')) as [AsyncIterable<Buffer>];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as Snapshot;
}
