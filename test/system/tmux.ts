import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { checkout, type Network, needs } from './machine.ts';

needs('tmux');

/** How long a test waits for what must be shown. */
const patienceMs = 20_000;

/** A shell in a terminal of tmux(1), which shows what a person would see. It ends with the test. */
export class Tmux {
  readonly #argv: readonly string[];

  constructor(network: Network, columns: number, rows: number) {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-tmux-'));
    this.#argv = network.inside(['tmux', '-u', '-f', '/dev/null', '-S', join(directory, 'socket')]);
    const shell = "exec env -u NO_COLOR -u FORCE_COLOR LC_ALL=C.UTF-8 PS1='$ ' bash --norc --noprofile";
    this.#run('new-session', '-d', '-x', String(columns), '-y', String(rows), '-c', checkout, shell);
    onTestFinished(() => {
      this.close();
      rmSync(directory, { recursive: true });
    });
  }

  /** The process of the shell. */
  get pid(): number {
    return Number(this.#run('display-message', '-p', '#{pane_pid}'));
  }

  /** Types keys, as tmux names them, or text. */
  type(...keys: readonly string[]): void {
    this.#run('send-keys', ...keys);
  }

  /** Types a command, and Enter. */
  command(line: string): void {
    this.type(line, 'Enter');
  }

  resize(columns: number, rows: number): void {
    this.#run('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** What it shows now, without colors. */
  get text(): string {
    return this.#run('capture-pane', '-p');
  }

  /** The same, with the escape sequences of colors. */
  get colored(): string {
    return this.#run('capture-pane', '-p', '-e');
  }

  /** Whether it shows its cursor, breaks lines, and is on its usual screen, each 0 or 1. */
  get modes(): string {
    return this.#run('display-message', '-p', '#{cursor_flag} #{wrap_flag} #{?alternate_on,0,1}').trim();
  }

  /** Resolves when it shows that. */
  async shows(wanted: RegExp): Promise<RegExpExecArray> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const { text } = this;
      const found = wanted.exec(text);
      if (found !== null) return found;
      if (performance.now() > deadline) throw new Error(`no ${String(wanted)} in ${patienceMs} ms:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Hangs up. Repeated calls are harmless. */
  close(): void {
    try {
      this.#run('kill-server');
    } catch {
      // It has ended already.
    }
  }

  #run(...args: readonly string[]): string {
    const [command = '', ...rest] = [...this.#argv, ...args];
    return execFileSync(command, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  }
}
