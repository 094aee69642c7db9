import type { PageEvent, PageEventName } from '../admin/live.ts';

/** The daemon sends something every second. Without anything for this long, it is asked again. */
const silentMs = 5000;

const firstDelayMs = 500;
const longestDelayMs = 5000;

export interface EventHandlers {
  /** Something has changed. */
  changed(event: PageEvent): void;
  /** Events arrive, or no longer. */
  connected(isConnected: boolean): void;
}

const names: readonly PageEventName[] = ['past', 'status', 'points', 'faults', 'reloads', 'log'];

/** The stream of events, connected again whenever it breaks. */
export class EventLink {
  readonly #handlers: EventHandlers;
  #source: EventSource | undefined;
  #timer: number | undefined;
  #delayMs = firstDelayMs;

  constructor(handlers: EventHandlers) {
    this.#handlers = handlers;
  }

  /** Connects, or connects again at once. */
  open(): void {
    this.close();
    // Relative, as all addresses: a proxy may serve the page below a prefix.
    const source = new EventSource('events');
    this.#source = source;
    for (const name of names)
      source.addEventListener(name, (event: MessageEvent<string>) => {
        this.#delayMs = firstDelayMs;
        this.#expectMore();
        this.#handlers.connected(true);
        this.#handlers.changed({ name, value: JSON.parse(event.data) as unknown } as PageEvent);
      });
    source.addEventListener('error', () => this.#lost());
    this.#expectMore();
  }

  /** Gets no more events until it is opened again. */
  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #expectMore(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#lost(), silentMs);
  }

  /** The browser's own attempts end at the first answer that is not a stream, such as that of a proxy. */
  #lost(): void {
    this.close();
    this.#handlers.connected(false);
    this.#timer = window.setTimeout(() => this.open(), this.#delayMs);
    this.#delayMs = Math.min(2 * this.#delayMs, longestDelayMs);
  }
}
