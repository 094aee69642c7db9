import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { ServiceCounters } from '../../src/server/counters.ts';
import { until } from './wait.ts';

/** The checkout. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url));

/** Services that misbehave, or tell of themselves. */
export const fixtures: string = fileURLToPath(new URL('../process/fixtures/', import.meta.url));

/** What a config needs to serve in one process, whoever runs the tests: root must say that modules may run as root. */
export const inOneProcess: object = { workers: 0, ...(process.geteuid?.() === 0 && { user: 'root' }) };

/** Long enough for a loaded machine; a test that gets here has failed. */
const deadlineMs = 45_000;

/** A line of the daemon's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly msg: string };

export interface ProcessOptions {
  /** Over a bare environment: nothing of the test runner's own reaches the daemon. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program and its first arguments; the built daemon unless given. */
  readonly command?: readonly [string, ...string[]];
  readonly uid?: number;
  readonly gid?: number;
}

export interface Worker {
  readonly worker: number;
  readonly status: string;
  readonly pid: number;
}

/** The listeners, workers and counters of a `state` line. */
export interface State {
  readonly listeners: readonly { readonly service: string; readonly address: string }[];
  readonly workers?: readonly Worker[];
  readonly counters: Readonly<Record<string, Pick<ServiceCounters, 'stream' | 'custom'>>>;
}

/**
 * A directory that everybody may read and write, `nobody` too, but not take files of others from, unless `mode` says
 * otherwise; it is gone when the test is over.
 */
export function temporaryDirectory(mode = 0o1777): string {
  const directory = mkdtempSync(join(tmpdir(), 'smallservd-test-'));
  chmodSync(directory, mode);
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes a config, text or object, into a directory of its own. */
export function writeConfig(config: object | string): string {
  const file = join(temporaryDirectory(), 'smallservd.yaml');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
  return file;
}

/**
 * The daemon as built, a process of its own and the leader of its process group. All of the group is killed when the
 * test is over.
 */
export class DaemonProcess {
  /** All lines of the log so far. */
  readonly lines: LogLine[] = [];
  stdout = '';
  stderr = '';
  /** What came out of the process; undefined while it runs. */
  exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #output: Readable;
  /** Lines of standard output that are no log lines. */
  readonly #strange: string[] = [];
  #rest = '';
  #changed: () => void = () => {};

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
    this.#output = (child.stdout as Readable).setEncoding('utf8');
    this.#output.on('data', (text: string) => this.#read(text));
    (child.stderr as Readable).setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    child.on('exit', (code, signal) => {
      this.exit = { code, signal };
      this.#changed();
    });
  }

  /** `logs: false`: a command whose standard output is something else than the log. */
  static spawn(args: readonly string[], options: ProcessOptions = {}, logs = true): DaemonProcess {
    const [program, ...first] = options.command ?? [process.execPath, join(root, 'dist/smallservd.js')];
    const child = spawn(program, [...first, ...args], {
      cwd: options.cwd ?? root,
      env: { ...bareEnvironment(), ...options.env },
      ...(options.uid !== undefined && { uid: options.uid }),
      ...(options.gid !== undefined && { gid: options.gid }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    if (pid === undefined) throw new Error(`cannot start ${program}`);
    const daemon = new DaemonProcess(child, pid);
    onTestFinished(() => {
      daemon.#end();
      if (logs) expect(daemon.#strange, 'lines of the log that are not whole').toEqual([]);
    });
    return daemon;
  }

  /** Starts the daemon with a config and waits until it is ready. */
  static async serve(config: object, options: ProcessOptions = {}): Promise<DaemonProcess> {
    const daemon = DaemonProcess.spawn(['--config', writeConfig(config)], options);
    await daemon.line('ready');
    return daemon;
  }

  /** Waits for a line with this message, and these fields if given; the first of them. */
  async line(msg: string, fields: object = {}): Promise<LogLine> {
    return await this.waitForLine(
      (line) => line.msg === msg && contains(line, fields),
      `${msg} ${JSON.stringify(fields)}`,
    );
  }

  /** Waits for a line that suits. */
  async waitForLine(suits: (line: LogLine) => boolean, what: string): Promise<LogLine> {
    await this.waitFor(() => this.lines.some(suits), `the line ${what}`);
    return this.lines.find(suits) as LogLine;
  }

  /** The lines with this message so far. */
  linesWith(msg: string): readonly LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }

  /**
   * Waits for what the daemon's output or its exit brings; rejects with all that it has said where that takes too long.
   */
  async waitFor(condition: () => boolean, what: string, waitMs = deadlineMs): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(this.#tell(`waited ${waitMs} ms in vain for ${what}`))), waitMs);
      const before = this.#changed;
      this.#changed = () => {
        before();
        if (!condition()) return;
        clearTimeout(timer);
        this.#changed = before;
        resolve();
      };
    });
  }

  /** Waits for the end of the process, and gives its exit code; the name of the signal where one ended it. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    await this.waitFor(() => this.exit !== undefined, 'the end of the process');
    return this.exit?.code ?? this.exit?.signal ?? null;
  }

  /** Waits until all output has been read too. */
  async closed(): Promise<number | NodeJS.Signals | null> {
    const code = await this.ended();
    await until(
      () => this.#output.readableEnded && this.#child.stderr?.readableEnded === true,
      'the end of the output',
    );
    return code;
  }

  /** Where a service listens, by the log; the IPv4 address unless the other is asked for. */
  target(
    service: string,
    transport: 'tcp' | 'udp',
    host = '127.0.0.1',
  ): { readonly host: string; readonly port: number } {
    const start = `${transport}://${host.includes(':') ? `[${host}]` : host}:`;
    for (const { service: name, address } of this.linesWith('listening')) {
      const text = String(address);
      if (name === service && text.startsWith(start)) return { host, port: Number(text.slice(start.length)) };
    }
    throw new Error(this.#tell(`${service} does not listen on ${start}`));
  }

  /** Sends a signal to the daemon's own process. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Sends a signal to all processes of the daemon's group, as a terminal or systemd does. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Asks for the state, by SIGUSR2. */
  async state(): Promise<State> {
    const before = this.linesWith('state').length;
    this.signal('SIGUSR2');
    await this.waitFor(() => this.linesWith('state').length > before, 'the state');
    return this.linesWith('state')[before] as unknown as State;
  }

  /** The workers that are ready. */
  async workers(): Promise<readonly Worker[]> {
    const { workers = [] } = await this.state();
    return workers.filter(({ status }) => status === 'ready');
  }

  /** Stops gracefully. */
  async stop(): Promise<number | NodeJS.Signals | null> {
    this.signal('SIGTERM');
    return await this.closed();
  }

  /** Takes nothing from the daemon's standard output from now on. */
  stall(): void {
    this.#output.pause();
  }

  /** Takes it again. */
  resume(): void {
    this.#output.resume();
  }

  /** Closes our end of the daemon's standard output. */
  hangUp(): void {
    this.#output.destroy();
  }

  #read(text: string): void {
    this.stdout += text;
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) {
      try {
        this.lines.push(JSON.parse(part) as LogLine);
      } catch {
        this.#strange.push(part);
      }
    }
    this.#changed();
  }

  #end(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nobody is left in the group.
    }
    this.#output.destroy();
  }

  #tell(fault: string): string {
    const end = this.exit === undefined ? 'it runs' : `it ended with ${this.exit.code ?? this.exit.signal}`;
    return `${fault}; ${end}\nstderr:\n${this.stderr.slice(-4000)}\nstdout:\n${this.stdout.slice(-8000)}`;
  }
}

/** Runs the program to its end. */
export async function runToEnd(
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<{ code: number | NodeJS.Signals | null; stdout: string; stderr: string; lines: readonly LogLine[] }> {
  const daemon = DaemonProcess.spawn(args, options, false);
  const code = await daemon.closed();
  const { stdout, stderr, lines } = daemon;
  return { code, stdout, stderr, lines };
}

/** Whether a process runs: one that has ended, and that nobody has asked about yet, does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

function bareEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '/', TMPDIR } = process.env;
  const path = `${dirname(process.execPath)}:${PATH}`;
  return { PATH: path, HOME, ...(TMPDIR !== undefined && { TMPDIR }) };
}

function contains(line: LogLine, fields: object): boolean {
  return Object.entries(fields).every(([key, value]) => line[key] === value);
}
