import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Peer } from './peers.ts';
import { pinned, type Place } from './place.ts';
import { choosePorts } from './ports.ts';
import { cpuSecondsByProcess, cpuSecondsOf, memoryBytesOf } from './process-tree.ts';
import type { Ports, ServiceKind } from './services.ts';

const startTimeoutMs = 20_000;
const stopTimeoutMs = 3000;
const askIntervalMs = 2;

const running = new Set<ChildProcess>();
// Whatever ends the bench, no server outlives it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A running peer. */
export class Server {
  readonly peer: Peer;
  readonly ports: Ports;
  /** Milliseconds from its start to its first answer: for daytime, over TCP. */
  readonly startMs: number;
  /** What it writes to standard output and standard error. */
  readonly #logPath: string;
  readonly #children: readonly ChildProcess[];

  private constructor(peer: Peer, ports: Ports, logPath: string, children: readonly ChildProcess[], startMs: number) {
    this.peer = peer;
    this.ports = ports;
    this.#logPath = logPath;
    this.#children = children;
    this.startMs = startMs;
  }

  /** Starts a peer, with its log and its files in a directory. Resolves when all of its services answer. */
  static async start(peer: Peer, place: Place, directory: string): Promise<Server> {
    const ports = await choosePorts();
    const own = mkdtempSync(join(directory, `${peer.id}-`));
    const logPath = join(own, 'log');
    const log = openSync(logPath, 'a');
    const startedMs = performance.now();
    const children = peer
      .commands(ports, own)
      .map((command) => spawn('taskset', pinned(place, command), { stdio: ['ignore', log, log] }));
    closeSync(log);
    for (const child of children) {
      running.add(child);
      child.on('exit', () => running.delete(child));
    }
    await untilAnswered(() => answers('daytime', ports.daytime), children, peer, logPath);
    const server = new Server(peer, ports, logPath, children, performance.now() - startedMs);
    for (const kind of ['tcp-echo', 'udp-echo', 'time', 'chargen'] as const)
      await untilAnswered(() => answers(kind, ports[kind]), children, peer, logPath);
    return server;
  }

  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => pid ?? []);
  }

  /** CPU time of all its processes so far. */
  get cpuSeconds(): number {
    return cpuSecondsOf(this.pids);
  }

  /** CPU time of each of its processes so far, by process id. */
  get cpuSecondsByProcess(): ReadonlyMap<number, number> {
    return cpuSecondsByProcess(this.pids);
  }

  /** Memory of all its processes. */
  get memoryBytes(): number {
    return memoryBytesOf(this.pids);
  }

  get log(): string {
    return readFileSync(this.#logPath, 'utf8');
  }

  signal(name: NodeJS.Signals): void {
    for (const child of this.#children) child.kill(name);
  }

  async stop(): Promise<void> {
    const alive = this.#children.filter((child) => running.has(child));
    const ended = Promise.all(alive.map((child) => once(child, 'exit')));
    this.signal('SIGTERM');
    const kill = setTimeout(() => this.signal('SIGKILL'), stopTimeoutMs);
    await ended;
    clearTimeout(kill);
  }
}

async function untilAnswered(
  ask: () => Promise<boolean>,
  children: readonly ChildProcess[],
  peer: Peer,
  logPath: string,
): Promise<void> {
  const deadlineMs = performance.now() + startTimeoutMs;
  while (!(await ask())) {
    if (children.some((child) => !running.has(child)) || performance.now() > deadlineMs)
      throw new Error(`bench: ${peer.label} does not answer: ${readFileSync(logPath, 'utf8').trim()}`);
    await sleep(askIntervalMs);
  }
}

/** Whether a service answers: with a byte if it speaks first or over UDP, else by accepting the connection. */
async function answers(kind: ServiceKind, port: number): Promise<boolean> {
  if (kind === 'udp-echo') return answersDatagram(port);
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, kind === 'tcp-echo' ? 'connect' : 'readable');
    return kind === 'tcp-echo' || socket.readableLength > 0;
  } catch {
    return false;
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}

async function answersDatagram(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  const timeout = AbortSignal.timeout(100);
  try {
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect', { signal: timeout });
    socket.send('bench');
    await once(socket, 'message', { signal: timeout });
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
