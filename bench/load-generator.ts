import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { pinned, type Place } from './place.ts';
import type { Server } from './server.ts';
import type { Work } from './work.ts';

/** What the load generator tells after it has put load on a server for some time. */
interface Load {
  readonly operations: number;
  readonly bytes: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly errors: number;
  readonly lastError: string;
  /** Datagrams without an answer in time, which were sent again. */
  readonly lost: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

/** The built bench/load, and where it runs. */
export interface LoadProgram {
  readonly program: string;
  readonly place: Place;
}

/** One measurement of one server. */
export interface Sample extends Load {
  /** CPU time of the server for all of it. */
  readonly cpuSeconds: number;
}

/** A process of bench/load: its clients stay connected from one measurement to the next. */
export class LoadGenerator {
  readonly #server: Server;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(server: Server, child: ChildProcessByStdio<Writable, Readable, null>, lines: Interface) {
    this.#server = server;
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** Connects the clients of a work to a server. Resolves after the warm-up. */
  static async start(
    { program, place }: LoadProgram,
    server: Server,
    work: Work,
    warmSeconds: number,
  ): Promise<LoadGenerator> {
    const numbers = [server.ports[work.service], work.clients, work.size, warmSeconds].map(String);
    const child = spawn('taskset', pinned(place, [program, work.kind, ...numbers]), {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.on('error', () => {});
    const generator = new LoadGenerator(server, child, createInterface({ input: child.stdout }));
    const line = await generator.#line();
    if (line !== 'ready') throw new Error(`bench: load on ${server.peer.label} failed, ${work.name}`);
    return generator;
  }

  /** Puts load on the server. */
  async measure(seconds: number): Promise<Sample> {
    const before = this.#server.cpuSeconds;
    this.#child.stdin.write(`${seconds}\n`);
    const line = await this.#line();
    if (line === undefined) throw new Error(`bench: load on ${this.#server.peer.label} failed`);
    const load = JSON.parse(line) as Load;
    return { ...load, cpuSeconds: this.#server.cpuSeconds - before };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }

  /** The next line, undefined at the end. */
  async #line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : value;
  }
}
