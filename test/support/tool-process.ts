import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { root } from './daemon-process.ts';
import { until, within } from './wait.ts';

export interface ToolEnd {
  /** The exit code; the name of the signal where one ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  /** What is piped in; without it standard input is /dev/null. */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take. */
  readonly waitMs?: number;
}

/** `smallserv` as built, a process of its own; it is gone when the test is over. */
export class ToolProcess {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  /** `stdin: 'pipe'`: `type` writes to it, `endInput` closes it. */
  constructor(args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore', env: ToolOptions['env'] = {}) {
    this.#child = spawn(process.execPath, [join(root, 'dist/smallserv.js'), ...args], {
      cwd: root,
      env: { PATH: process.env['PATH'] ?? '', TZ: 'UTC', ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#closed = once(this.#child, 'close');
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  type(input: string | Uint8Array): void {
    this.#child.stdin?.write(input);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Closes our end of its standard output. */
  hangUp(): void {
    this.#child.stdout?.destroy();
  }

  /** Waits until standard output holds this. */
  async says(wanted: string): Promise<void> {
    await until(() => this.stdout.includes(wanted), `${JSON.stringify(wanted)} in ${this.stdout.slice(-1000)}`);
  }

  /** Waits for its end, and for all of its output. */
  async ended(waitMs?: number): Promise<ToolEnd> {
    await within(this.#closed, `the end of smallserv; it said ${this.stderr}`, waitMs);
    const { exitCode, signalCode } = this.#child;
    return { code: exitCode ?? signalCode, stdout: this.stdout, stderr: this.stderr };
  }
}

/** Runs `smallserv` to its end. */
export async function runTool(args: readonly string[], { input, env, waitMs }: ToolOptions = {}): Promise<ToolEnd> {
  const tool = new ToolProcess(args, input === undefined ? 'ignore' : 'pipe', env);
  if (input !== undefined) {
    tool.type(input);
    tool.endInput();
  }
  return tool.ended(waitMs);
}
