import type { Clock } from '../../clock/clock.ts';
import { newServiceCounters } from '../counters.ts';
import type { ProcessHealth } from '../process-health.ts';
import type { Snapshot } from './snapshot.ts';

/** How many points of a second, and of a minute, are kept. */
const secondsKept = 300;
const minutesKept = 360;

/** How often `record` is to be called. */
export const samplePeriodMs = 1000;
const minuteMs = 60_000;

/** By more than this, the wall clock has been set, or the machine was suspended. Less is the rounding of clocks. */
const clockJumpMs = 500;

/** Workers beyond are not in the history. It takes the same memory for any number of workers: 390 KB. */
const workersKept = 16;

/**
 * Rates are taken over this many samples. Workers report as often as we sample, so one sample may see no report of a
 * worker, and the next one two.
 */
const rateSamples = 2;

/** `rate`: how much a counter grows in a second. `level`: a value now, its mean in a minute. `peak`: its maximum. */
type Kind = 'rate' | 'level' | 'peak';

interface Series {
  readonly name: string;
  readonly kind: Kind;
  /** NaN if unknown. The snapshot has only workers that have a place. */
  readonly value: (snapshot: Snapshot) => number;
}

/** Values by the name of their series. Series without a value are left out. */
export interface HistoryPoint {
  /** Seconds since 1970. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

/** Points, oldest first. A value that is not known is null. */
export interface HistoryPoints {
  readonly times: readonly number[];
  /** By the name of the series. Series without any value are left out. */
  readonly values: Readonly<Record<string, readonly (number | null)[]>>;
}

/** What has happened in the last five minutes, by the second, and in the last six hours, by the minute. */
export interface PastPoints {
  readonly seconds: HistoryPoints;
  readonly minutes: HistoryPoints;
}

/** The last point of each kind. Null: there is none yet. */
export interface LatestPoints {
  readonly second: HistoryPoint | null;
  readonly minute: HistoryPoint | null;
}

const model = newServiceCounters();

/**
 * Rates: `accepted`, `datagrams`, `bytesIn`, `bytesOut`, `refused REASON`, `dropped REASON`, and `cpu PROCESS`, of one
 * processor. Levels: `clients`, and `memory PROCESS` in bytes. Peak: `lag PROCESS` in milliseconds. A process is
 * `supervisor` or `worker PLACE`: places count from 1, and whoever replaces a worker has its place.
 */
const allSeries: readonly Series[] = [
  ofServices('accepted', 'rate', ({ stream }) => stream.accepted),
  ofServices('datagrams', 'rate', ({ datagram }) => datagram.received),
  ofServices('clients', 'level', ({ stream }) => stream.active),
  ofServices('bytesIn', 'rate', ({ stream, datagram }) => stream.bytesIn + datagram.bytesIn),
  ofServices('bytesOut', 'rate', ({ stream, datagram }) => stream.bytesOut + datagram.bytesOut),
  ...keysOf(model.stream.refused).map((reason) =>
    ofServices(`refused ${reason}`, 'rate', ({ stream }) => stream.refused[reason]),
  ),
  ...keysOf(model.datagram.dropped).map((reason) =>
    ofServices(`dropped ${reason}`, 'rate', ({ datagram }) => datagram.dropped[reason]),
  ),
  ...ofProcess('supervisor', ({ supervisor }) => supervisor),
  ...Array.from({ length: workersKept }, (_, place) =>
    ofProcess(`worker ${place + 1}`, ({ workers }) => workers[place]?.health),
  ).flat(),
];

/** Keeps what the page plots, in memory of a fixed size. */
export class History {
  readonly #clock: Clock;
  readonly #seconds = new Ring(secondsKept);
  readonly #minutes = new Ring(minutesKept);
  /** The last samples, oldest first. */
  readonly #samples: { readonly atMs: number; readonly values: Float64Array }[] = [];
  /** Of the current minute: sums or maxima, and how many values are in them. */
  readonly #sums = new Float64Array(allSeries.length);
  readonly #counts = new Uint32Array(allSeries.length);
  #minuteBeganMs: number;
  /** The wall clock when the monotonic clock was 0. */
  #startMs: number;
  /** The number of the newest worker that has had a place. */
  #newestWorker = 0;
  /** Until the next sample: the process that asks for it must not keep this one busy. */
  #past: PastPoints | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#minuteBeganMs = clock.monotonicMs();
    this.#startMs = startOf(clock);
  }

  /** Adds a point. To be called every `samplePeriodMs`. */
  record(snapshot: Snapshot): void {
    this.#past = undefined;
    this.#followWallClock();
    const atMs = this.#clock.monotonicMs();
    const timeMs = this.#startMs + atMs;
    const placed = { ...snapshot, workers: this.#placesOf(snapshot) };
    const values = Float64Array.from(allSeries, ({ value }) => value(placed));
    const [before] = this.#samples;
    const point = values.map((value, index) =>
      allSeries[index]?.kind === 'rate' ? rate(value, before?.values[index], atMs - (before?.atMs ?? atMs)) : value,
    );
    this.#samples.push({ atMs, values });
    if (this.#samples.length > rateSamples) this.#samples.shift();
    this.#seconds.push(timeMs, point);
    this.#addToMinute(point);
    if (atMs - this.#minuteBeganMs < minuteMs) return;
    this.#minutes.push(timeMs, this.#takeMinute());
    this.#minuteBeganMs = atMs;
  }

  get past(): PastPoints {
    this.#past ??= { seconds: this.#seconds.points, minutes: this.#minutes.points };
    return this.#past;
  }

  get latest(): LatestPoints {
    return { second: this.#seconds.latest, minute: this.#minutes.latest };
  }

  /**
   * After a jump ahead, which may be a suspend, there is a gap. If the clock has been set back, all points move with
   * it: they keep their order.
   */
  #followWallClock(): void {
    const startMs = startOf(this.#clock);
    const jumpMs = startMs - this.#startMs;
    if (Math.abs(jumpMs) <= clockJumpMs) return;
    this.#startMs = startMs;
    if (jumpMs > 0) return;
    this.#seconds.shift(jumpMs);
    this.#minutes.shift(jumpMs);
  }

  /** During a reload, those that are to serve next already live, next to those that serve. */
  #placesOf({ workers, reload }: Snapshot): Snapshot['workers'] {
    const active = workers.filter(({ status }) => status !== 'draining');
    const known = active.filter(({ worker }) => worker <= this.#newestWorker);
    if (reload.isRunning && known.length > 0) return known;
    this.#newestWorker = Math.max(this.#newestWorker, ...active.map(({ worker }) => worker));
    return active;
  }

  #addToMinute(point: Float64Array): void {
    for (const [index, value] of point.entries()) {
      if (Number.isNaN(value)) continue;
      const sum = this.#sums[index] ?? 0;
      this.#sums[index] = allSeries[index]?.kind === 'peak' ? Math.max(sum, value) : sum + value;
      this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    }
  }

  #takeMinute(): Float64Array {
    const point = this.#sums.map((sum, index) => {
      const count = this.#counts[index] ?? 0;
      if (count === 0) return Number.NaN;
      return allSeries[index]?.kind === 'peak' ? sum : sum / count;
    });
    this.#sums.fill(0);
    this.#counts.fill(0);
    return point;
  }
}

/** The last points, in a fixed amount of memory. Times are milliseconds since 1970. */
class Ring {
  readonly #kept: number;
  readonly #times: Float64Array;
  /** One point after the other. */
  readonly #values: Float64Array;
  #pushed = 0;

  constructor(kept: number) {
    this.#kept = kept;
    this.#times = new Float64Array(kept);
    this.#values = new Float64Array(kept * allSeries.length);
  }

  push(timeMs: number, values: Float64Array): void {
    const slot = this.#pushed % this.#kept;
    this.#times[slot] = timeMs;
    this.#values.set(values, slot * allSeries.length);
    this.#pushed += 1;
  }

  /** Moves all points in time. */
  shift(byMs: number): void {
    for (const [slot, timeMs] of this.#times.entries()) this.#times[slot] = timeMs + byMs;
  }

  get points(): HistoryPoints {
    const slots = this.#slots;
    const values: Record<string, readonly (number | null)[]> = {};
    for (const [index, { name }] of allSeries.entries()) {
      const all = slots.map((slot) => rounded(this.#valueOf(slot, index)));
      if (all.some((value) => value !== null)) values[name] = all;
    }
    return { times: slots.map((slot) => this.#timeOf(slot)), values };
  }

  get latest(): HistoryPoint | null {
    const slot = this.#slots.at(-1);
    if (slot === undefined) return null;
    const values: Record<string, number> = {};
    for (const [index, { name }] of allSeries.entries()) {
      const value = rounded(this.#valueOf(slot, index));
      if (value !== null) values[name] = value;
    }
    return { time: this.#timeOf(slot), values };
  }

  /** Oldest first. */
  get #slots(): readonly number[] {
    const length = Math.min(this.#pushed, this.#kept);
    return Array.from({ length }, (_, index) => (this.#pushed - length + index) % this.#kept);
  }

  #timeOf(slot: number): number {
    return Math.round((this.#times[slot] ?? 0) / 100) / 10;
  }

  #valueOf(slot: number, index: number): number {
    return this.#values[slot * allSeries.length + index] ?? Number.NaN;
  }
}

/** NaN without an earlier value, or if the counter is another one: a worker has been replaced. */
function rate(value: number, before: number | undefined, tookMs: number): number {
  if (before === undefined || value < before || tookMs <= 0) return Number.NaN;
  return ((value - before) / tookMs) * 1000;
}

/**
 * To four digits, but never before the decimal point: no plot shows more. A compromised worker may report anything, but
 * JSON has only finite numbers.
 */
function rounded(value: number): number | null {
  const short = Math.abs(value) < 1000 ? Number(value.toPrecision(4)) : Math.round(value);
  return Number.isFinite(short) ? short : null;
}

function startOf(clock: Clock): number {
  return clock.now().getTime() - clock.monotonicMs();
}

type Service = Snapshot['services'][string];

function ofServices(name: string, kind: Kind, count: (service: Service) => number): Series {
  return {
    name,
    kind,
    value: ({ services }) => Object.values(services).reduce((sum, service) => sum + count(service), 0),
  };
}

function ofProcess(process: string, healthOf: (snapshot: Snapshot) => ProcessHealth | undefined): readonly Series[] {
  const one = (name: string, kind: Kind, value: (health: ProcessHealth) => number): Series => ({
    name: `${name} ${process}`,
    kind,
    value(snapshot) {
      const health = healthOf(snapshot);
      return health === undefined ? Number.NaN : value(health);
    },
  });
  return [
    one('lag', 'peak', ({ lagMs }) => lagMs),
    one('cpu', 'rate', ({ cpuMs = Number.NaN }) => cpuMs / 1000),
    one('memory', 'level', ({ residentBytes }) => residentBytes),
  ];
}

function keysOf<Key extends string>(counts: Readonly<Record<Key, number>>): readonly Key[] {
  return Object.keys(counts) as Key[];
}
