import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { childrenOf, commandOf, daemonProgram, familyOf } from './machine.ts';

/** How a program ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Written to its standard input, which is then closed; without it the input stays open for `type`. */
  readonly input?: string;
}

/** How long a test waits for what must come. */
const patienceMs = 40_000;

/**
 * A program that a test started, with all that it says. It ends with the test at the latest, and all that it started
 * with it.
 */
export class Program {
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  readonly #argv: readonly string[];
  #output = Buffer.alloc(0);
  #complaints = '';
  #changed: () => void = () => {};

  constructor(argv: readonly string[], { directory, env, uid, gid, input }: StartOptions = {}) {
    const [command = '', ...args] = argv;
    this.#argv = argv;
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...env },
      ...(directory === undefined ? {} : { cwd: directory }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    this.#child.stdin?.on('error', () => {});
    if (input !== undefined) this.#child.stdin?.end(input);
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#output = Buffer.concat([this.#output, chunk]);
      this.#changed();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text;
      this.#changed();
    });
    this.ended = once(this.#child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    void this.ended.finally(() => this.#changed()).catch(() => {});
    onTestFinished(async () => {
      for (const pid of this.family) kill(pid, 'SIGKILL');
      await this.ended.catch(() => {});
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#argv[0]} did not start`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** This process and all that came of it. */
  get family(): readonly number[] {
    return this.running ? familyOf(this.pid) : [];
  }

  get output(): string {
    return this.#output.toString();
  }

  get bytes(): Uint8Array {
    return this.#output;
  }

  /** What it wrote to standard error. */
  get complaints(): string {
    return this.#complaints;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  signal(signal: NodeJS.Signals): void {
    kill(this.pid, signal);
  }

  /** Resolves with the end; rejects where it does not come in time. */
  async end(withinMs: number = patienceMs): Promise<End> {
    await this.until(() => !this.running, 'its end', withinMs);
    return this.ended;
  }

  /** Resolves when its standard output matches. */
  async says(wanted: RegExp, withinMs: number = patienceMs): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    await this.until(
      () => {
        found = wanted.exec(this.output);
        return found !== null;
      },
      String(wanted),
      withinMs,
    );
    return found as unknown as RegExpExecArray;
  }

  /** Resolves once the condition holds; it is asked whenever the program says something or ends, and now and then. */
  async until(holds: () => boolean, what: string, withinMs: number = patienceMs): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!holds()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`${what} did not come in ${withinMs} ms from ${this.#describe()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 50));
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #describe(): string {
    const said = this.output.slice(-3000);
    return `${this.#argv.join(' ')}\n--- output\n${said}\n--- complaints\n${this.#complaints.slice(-3000)}`;
  }
}

/** Runs a program to its end. */
export async function run(
  argv: readonly string[],
  options: StartOptions = {},
): Promise<Program & { end(): Promise<End> }> {
  const program = new Program(argv, { input: '', ...options });
  await program.end(60_000);
  return program;
}

/** One line of the daemon's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly msg: string };

/** The daemon with its log on standard output. */
export class DaemonProgram extends Program {
  /** `around` is what starts it: `ip netns exec …`, say, as long as that leaves the process its id. */
  constructor(
    args: readonly string[],
    around: (argv: readonly string[]) => readonly string[] = (argv) => argv,
    options: StartOptions = {},
  ) {
    super(around([...daemonProgram, ...args]), options);
  }

  /** Resolves when all listeners are open. */
  async ready(): Promise<void> {
    await this.line(({ msg }) => msg === 'ready');
  }

  get lines(): readonly LogLine[] {
    return parseLog(this.output);
  }

  /** Resolves with the first line of the log that fits. */
  async line(fits: (line: LogLine) => boolean, withinMs?: number): Promise<LogLine> {
    let found: LogLine | undefined;
    await this.until(
      () => {
        found = this.lines.find(fits);
        return found !== undefined || !this.running;
      },
      `the line ${fits.toString()}`,
      withinMs,
    );
    if (found === undefined) throw new Error(`the daemon ended: ${this.output}${this.complaints}`);
    return found;
  }

  /** Without the process of the admin endpoint. */
  get workers(): readonly number[] {
    return childrenOf(this.pid).filter((pid) => commandOf(pid).includes('supervisor/worker.js'));
  }

  /** Resolves when so many workers serve, the replaced ones included. */
  async workersBack(deaths: number): Promise<void> {
    const isBack = (): boolean => this.lines.filter(({ msg }) => msg === 'worker ready again').length >= deaths;
    await this.until(() => isBack() || !this.running, `the return of ${deaths} workers`);
    if (!isBack()) throw new Error(`the daemon ended: ${this.output}${this.complaints}`);
  }
}

/** The whole lines of a log. */
function parseLog(text: string): readonly LogLine[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The environment without what the test runner, npm and service managers put there. */
function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(VITEST|VITE_|npm_|NODE_ENV|NODE_OPTIONS|SMALLSERVD_|LISTEN_|NOTIFY_|WATCHDOG_|JOURNAL_|TEST$|PROD$|DEV$|MODE$|BASE_URL$|SSR$)/.test(
        name,
      ),
  );
  return { ...(Object.fromEntries(kept) as Record<string, string>), LC_ALL: 'C.UTF-8' };
}
