import { emitKeypressEvents } from 'node:readline';
import type { AdminClient } from '../admin/client.ts';
import { noData, withEvent } from './data.ts';
import { follow } from './follow.ts';
import { type Frame, renderFrame, renderText, type Size, type TopState } from './frame.ts';
import { Screen } from './screen.ts';
import type { Glyphs, Span } from './text.ts';
import { type Extent, firstView, type Key, pressKey } from './view.ts';

/** Something to listen to while it runs. */
type Listening = readonly [NodeJS.EventEmitter, string, (text: string | undefined, key: Omit<Key, 'text'>) => void];

/** Events that come together are drawn together. */
const drawDelayMs = 50;

const usualColumns = 80;
const usualRows = 24;

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** `smallservd top` on a terminal, which is as it was when this is over. */
export class Top {
  readonly #process: NodeJS.Process;
  readonly #client: Pick<AdminClient, 'events' | 'name'>;
  readonly #glyphs: Glyphs;
  readonly #screen: Screen;
  readonly #ended = new AbortController();
  #state: TopState;
  /** The latest data, also during a pause. */
  #data = noData;
  #extent: Extent = { lines: 0, page: 1, starts: [] };
  #timer: NodeJS.Timeout | undefined;
  #signal: NodeJS.Signals | undefined;

  constructor(
    process: NodeJS.Process,
    client: Pick<AdminClient, 'events' | 'name'>,
    { glyphs, paint }: { readonly glyphs: Glyphs; readonly paint: (span: Span) => string },
  ) {
    this.#process = process;
    this.#client = client;
    this.#glyphs = glyphs;
    this.#screen = new Screen(process.stdout, paint);
    this.#state = { endpoint: client.name, data: noData, view: firstView };
  }

  /** Resolves when somebody ends it. Throws `ADMIN_UNREACHABLE` if no daemon has ever answered. */
  async run(): Promise<void> {
    const listeners = this.#listeners();
    for (const [emitter, event, listener] of listeners) emitter.on(event, listener);
    try {
      await follow(this.#client, this.#ended.signal, {
        changed: (event) => {
          // Not before a daemon answers: if none does, the screen stays as it is.
          if (this.#data === noData) this.#open();
          this.#data = withEvent(this.#data, event);
          this.#state = { ...this.#state, lost: undefined };
          this.#drawSoon();
        },
        lost: (reason) => {
          const short = reason.replace(`no daemon answers at ${this.#client.name}: `, '');
          this.#state = { ...this.#state, lost: { sinceMs: this.#state.lost?.sinceMs ?? Date.now(), reason: short } };
          this.#drawSoon();
        },
      });
    } finally {
      this.#close();
      for (const [emitter, event, listener] of listeners) emitter.off(event, listener);
    }
    // Whoever started us sees what ended us.
    if (this.#signal !== undefined) this.#process.kill(this.#process.pid, this.#signal);
  }

  #listeners(): readonly Listening[] {
    const { stdin, stdout } = this.#process;
    const end = (): void => this.#ended.abort();
    emitKeypressEvents(stdin);
    return [
      [stdin, 'keypress', (text, key) => this.#press({ ...key, text })],
      [stdin, 'end', end],
      [stdin, 'error', end],
      [stdout, 'resize', () => this.#redraw()],
      ...endingSignals.map((signal): Listening => [this.#process, signal, () => this.#endBy(signal)]),
      [this.#process, 'SIGTSTP', this.#suspend],
      [this.#process, 'SIGCONT', () => this.#resume()],
      // Before the error is printed.
      [this.#process, 'uncaughtExceptionMonitor', () => this.#close()],
      [this.#process, 'exit', () => this.#close()],
    ];
  }

  #endBy(signal: NodeJS.Signals): void {
    this.#signal = signal;
    this.#ended.abort();
  }

  #press(key: Key): void {
    const result = pressKey(this.#state.view, key, this.#extent);
    if (result === 'quit') this.#ended.abort();
    // To all of a pipeline, as a terminal does it.
    else if (result === 'suspend') this.#process.kill(0, 'SIGTSTP');
    else if (result === 'redraw') this.#redraw();
    else {
      this.#state = { ...this.#state, view: result };
      this.#draw();
    }
  }

  /** Stops as if we had no listener: where no shell could continue us, the kernel does not stop us. */
  readonly #suspend = (): void => {
    this.#close();
    this.#process.off('SIGTSTP', this.#suspend);
    this.#process.kill(this.#process.pid, 'SIGTSTP');
    this.#process.on('SIGTSTP', this.#suspend);
    this.#resume();
  };

  /** Somebody else has had the terminal. */
  #resume(): void {
    if (this.#ended.signal.aborted || this.#data === noData) return;
    this.#process.stdin.setRawMode(false);
    this.#open();
    this.#draw();
  }

  #open(): void {
    this.#process.stdin.setRawMode(true);
    this.#process.stdin.resume();
    this.#screen.open();
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#screen.close();
    try {
      this.#process.stdin.setRawMode(false);
    } catch {
      // The terminal is gone.
    }
    this.#process.stdin.pause();
  }

  #redraw(): void {
    this.#screen.forget();
    this.#draw();
  }

  #drawSoon(): void {
    this.#timer ??= setTimeout(() => this.#draw(), drawDelayMs);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#state.view.isPaused) this.#state = { ...this.#state, data: this.#data };
    // A terminal of unknown size reports 0.
    const { columns, rows } = this.#process.stdout;
    const { lines, extent } = this.#frame({ columns: columns || usualColumns, rows: rows || usualRows });
    this.#extent = extent;
    this.#screen.draw(lines);
  }

  /** What has been received is checked, but whoever sends it must not end this if the checks overlook something. */
  #frame(size: Size): Frame {
    try {
      return renderFrame(this.#state, size, this.#glyphs);
    } catch {
      const text = `${this.#client.name} is not a smallservd admin endpoint: its answer cannot be shown`;
      return renderText(text, size, this.#glyphs);
    }
  }
}
