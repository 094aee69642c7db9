import type { Cancel, Clock } from '../../clock/clock.ts';
import { escapeControls } from '../../terminal-text.ts';
import { coalesced, maxAgeMs } from './coalesced.ts';
import type { PageSource } from './live.ts';

/** How often open pages get what has changed. */
const periodMs = 1000;

/** Pages opened together share one answer about the past. */
const pastMaxAgeMs = 500;

/** The most open pages. */
const maxStreams = 16;

/** What a stream needs of its connection. */
export interface EventConnection {
  /** Returns false, and sends nothing, if the client has not accepted the previous piece yet. */
  push(bytes: Buffer): boolean;
  destroy(): void;
}

/** The text of each event that its page has got. Undefined: it has not got the past yet. */
type Sent = Map<string, string> | undefined;

interface Welcome {
  readonly bytes: Buffer;
  /** The events in it. */
  readonly live: ReadonlyMap<string, string>;
}

/**
 * The open pages: each gets what has happened before, then every second what has changed, as server-sent events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html). However many there are, the supervisor is asked
 * once a second, and not at all if there are none. A page that has not read the last events yet gets later ones instead
 * of these, so nothing queues up. A client that never reads is cut, but that alone does not keep places free: one page
 * too many takes the place of the one that has been open longest.
 */
export class EventStreams {
  /** Open longest first. */
  readonly #streams = new Map<EventConnection, Sent>();
  readonly #source: PageSource;
  readonly #clock: Clock;
  readonly #most: number;
  readonly #past: () => Promise<string>;
  /** What a new page gets. */
  readonly #welcome: () => Promise<Welcome>;
  readonly #live: () => Promise<ReadonlyMap<string, string>>;
  #cancel: Cancel | undefined;

  /** `newcomers`: how many connections there may be briefly beyond the usual limit; there may be half as many pages. */
  constructor(source: PageSource, clock: Clock, newcomers: number) {
    this.#source = source;
    this.#clock = clock;
    this.#most = Math.min(maxStreams, Math.floor(newcomers / 2));
    this.#past = coalesced(async () => formatEvent('past', await this.#source.past()), pastMaxAgeMs, clock);
    this.#live = coalesced(async () => this.#readLive(), maxAgeMs, clock);
    this.#welcome = coalesced(async () => this.#formatWelcome(), maxAgeMs, clock);
  }

  get size(): number {
    return this.#streams.size;
  }

  add(connection: EventConnection): void {
    if (this.#streams.size >= this.#most) this.#displace();
    this.#streams.set(connection, undefined);
    this.#cancel ??= this.#clock.every(periodMs, () => void this.#sendAll());
    void this.#begin(connection);
  }

  remove(connection: EventConnection): void {
    this.#streams.delete(connection);
    if (this.#streams.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  destroyAll(): void {
    for (const connection of this.#streams.keys()) connection.destroy();
  }

  #displace(): void {
    const [first] = this.#streams.keys();
    if (first === undefined) return;
    // Its `close` event comes later.
    this.remove(first);
    first.destroy();
  }

  async #begin(connection: EventConnection): Promise<void> {
    try {
      const { bytes, live } = await this.#welcome();
      if (!this.#streams.has(connection)) return;
      connection.push(bytes);
      this.#streams.set(connection, new Map(live));
    } catch {
      // The supervisor does not answer. The page will try again.
      connection.destroy();
    }
  }

  async #formatWelcome(): Promise<Welcome> {
    const [past, live] = await Promise.all([this.#past(), this.#live()]);
    return { bytes: Buffer.from([past, ...live.values()].join('')), live };
  }

  async #sendAll(): Promise<void> {
    const live = await this.#live().catch(() => undefined);
    // The supervisor does not answer. Each page notices that it gets nothing.
    if (live === undefined) return;
    for (const [connection, sent] of this.#streams) {
      if (sent === undefined) continue;
      const changed = [...live].filter(([name, text]) => sent.get(name) !== text);
      if (changed.length === 0) continue;
      if (!connection.push(Buffer.from(changed.map(([, text]) => text).join('')))) continue;
      for (const [name, text] of changed) sent.set(name, text);
    }
  }

  async #readLive(): Promise<ReadonlyMap<string, string>> {
    const live = Object.entries(await this.#source.live());
    return new Map(live.map(([name, value]) => [name, formatEvent(name, value)]));
  }
}

/** JSON has no line end but in strings, where it is escaped, so the data is one line. */
function formatEvent(name: string, value: unknown): string {
  return `event: ${name}\ndata: ${escapeControls(JSON.stringify(value))}\n\n`;
}
