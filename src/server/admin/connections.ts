import type { Cancel, Clock } from '../../clock/clock.ts';
import type { OpenFiles } from '../../open-files.ts';
import type { AdminConnection } from './connection.ts';

/** The most concurrent connections. They fit into the descriptors reserved from clients, if one process serves both. */
const maxConnections = 24;

/** A newcomer beyond that may be silent for this long before it costs another connection its place. */
const graceMs = 100;

/** The most such newcomers where this process, or another one with the same limit, takes clients of services, too. */
export const fewNewcomers = 8;

/** The most elsewhere: 2,000 connections a second cannot displace a health probe before its request arrives. */
const manyNewcomers = 200;

/** The most newcomers in a process that takes no other clients: at most a quarter of its free descriptors. */
export function newcomersFor(files: OpenFiles | undefined): number {
  const free = files === undefined ? Infinity : files.limit - files.open;
  return Math.max(fewNewcomers, Math.min(manyNewcomers, Math.floor(free / 4)));
}

/** The most answers in progress to protect from eviction. Without a limit, newcomers could evict each other. */
const maxProtected = 16;

/** A source with more connections than this is evicted first. */
const fewOfSource = 8;

/** The parts of a connection that matter for eviction. */
export type Evictable = Pick<AdminConnection, 'state' | 'isProbe' | 'source' | 'destroy'>;

/**
 * The connections of the endpoint. When it is full, a newcomer evicts the connection silent longest of those that
 * are still asking or have their answer. If most are being answered, it evicts one of those instead of one that is
 * asking: not a health probe, which would be answered at once but for the others, and of the largest source, so that
 * one source cannot keep others from their answers. Health probes can therefore not be locked out.
 */
export class AdminConnections {
  /** Longest silent first. */
  readonly #connections = new Set<Evictable>();
  readonly #clock: Clock;
  readonly #newcomers: number;
  /** One for each connection over `maxConnections`, the first due first. */
  readonly #evictions: Cancel[] = [];

  constructor(clock: Clock, newcomers: number) {
    this.#clock = clock;
    this.#newcomers = newcomers;
  }

  get size(): number {
    return this.#connections.size;
  }

  add(connection: Evictable): void {
    if (this.#connections.size >= maxConnections + this.#newcomers) this.#evict();
    this.#connections.add(connection);
    // Not yet: among many clients that connect together, a probe may be the first, with its request still on the way.
    if (this.#connections.size > maxConnections)
      this.#evictions.push(
        this.#clock.after(graceMs, () => {
          this.#evictions.shift();
          this.#evict();
        }),
      );
  }

  /** Marks the connection as active: it has sent data or accepted part of its answer. */
  heard(connection: Evictable): void {
    if (this.#connections.delete(connection)) this.#connections.add(connection);
  }

  remove(connection: Evictable): void {
    this.#connections.delete(connection);
    if (this.#evictions.length > Math.max(0, this.#connections.size - maxConnections)) this.#evictions.pop()?.();
  }

  destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #evict(): void {
    const all = [...this.#connections];
    const answering = all.filter(({ state }) => state === 'answering');
    const isCrowded = answering.length > maxProtected;
    // Not the one that has just got its answer: closed with unread input, it would lose it.
    const first = isCrowded
      ? this.#firstAnswered(all)
      : all.find(({ state }) => state === 'closing' || state === 'asking');
    if (first === undefined) return;
    // Its `close` event comes later.
    this.remove(first);
    first.destroy();
  }

  #firstAnswered(all: readonly Evictable[]): Evictable | undefined {
    const answered = all.filter(({ state }) => state !== 'asking');
    const others = answered.filter(({ state, isProbe }) => state === 'closing' || !isProbe);
    const largest = largestSource(others);
    const asking = all.filter(({ state }) => state === 'asking');
    return (
      others.find((each) => each.state === 'closing' || largest === undefined || each.source === largest) ??
      (asking.length > maxConnections - maxProtected - 1 ? asking[0] : answered[0])
    );
  }
}

/** The source of most of them. Undefined if it has few. */
function largestSource(connections: readonly Evictable[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { source } of connections) counts.set(source, (counts.get(source) ?? 0) + 1);
  const [largest] = [...counts].sort(([, one], [, other]) => other - one);
  return largest === undefined || largest[1] <= fewOfSource ? undefined : largest[0];
}
