import type { Cancel, Clock } from '../../clock/clock.ts';
import { Latency, type LatencySummary } from '../latency.ts';
import { outcomeOf } from '../dial/network-error.ts';
import type { Outcome } from '../../outcomes.ts';
import { type Lane, type LaneFactory, laneFailures, laneOutcomes } from './lane.ts';
import { type LoadSecond, LoadSeries } from './series.ts';
import { ClosedSchedule, type LoadSchedule, OpenSchedule } from './schedule.ts';

export interface LoadRunOptions {
  readonly connections: number;
  readonly durationMs: number;
  /** Total requests per second. Default: each lane sends its next request as soon as the last is answered. */
  readonly perSecond?: number | undefined;
  /** Ends the load after this many requests. */
  readonly requests?: number | undefined;
  /** Whether lanes send or receive a continuous flow without requests. */
  readonly isFlow: boolean;
  /** Whether to keep the results of each lane apart. Default false. */
  readonly isPerLane?: boolean;
  /** Applies to a connection, an answer, and the next bytes of a flow. */
  readonly timeoutMs: number;
  /** The failure kind to report on silence. */
  readonly silence: typeof laneFailures.timeout | typeof laneFailures.lost;
  /** Called with each second when it is over. */
  readonly onSecond?: ((second: LoadSecond) => void) | undefined;
  readonly clock: Clock;
  /** Calls the task after this many milliseconds, 0 or more. Calling early is harmless: the time is checked again. */
  readonly wake: (ms: number, task: () => void) => Cancel;
}

/** Counts so far. */
export interface LoadCounts {
  /** Milliseconds since all connections were open. */
  readonly elapsedMs: number;
  /**
   * Requests answered correctly. For discard over UDP, which has no answers, datagrams accepted by the kernel. Discard
   * and chargen over TCP have no requests, only bytes.
   */
  readonly answered: number;
  /** All errors, of requests and of connections that failed or broke. */
  readonly failed: number;
  /** Payload bytes sent and received. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** What became of the requests from one source port. */
export interface LoadFlow {
  /** The last one. Undefined if no connection was made. */
  readonly sourcePort: number | undefined;
  readonly answered: number;
  /** Errors, of requests and of the connection. */
  readonly failed: number;
  /** As of the entire load. */
  readonly response: LatencySummary | undefined;
}

/** The results of one lane so far. */
interface LaneResult {
  readonly response: Latency;
  sourcePort: number | undefined;
  failed: number;
}

/** States of a lane. A `resting` lane has failed and will be reopened soon. */
const states = { opening: 0, ready: 1, busy: 2, resting: 3, closed: 4 } as const;

/** Delay before a failed lane is reopened, so that a peer that refuses connections is not flooded. */
const restMs = 100;
const shortestSweepMs = 10;
const longestSweepMs = 250;

/**
 * Runs one load test: assigns scheduled requests to lanes, keeps time and counts. Counting starts when every lane has
 * opened or failed to. Requests allocate no memory.
 */
export class LoadRun {
  /** Time from when a request was due to its answer. */
  readonly response = new Latency();
  /** Time from when it was sent to its answer. */
  readonly service = new Latency();
  readonly errors = new Map<string, number>();
  /** By kind of error. */
  readonly #outcomes = new Map<string, Outcome>();
  readonly #options: LoadRunOptions;
  readonly #clock: Clock;
  readonly #lanes: readonly Lane[];
  readonly #states: Uint8Array;
  /** When the lane started opening, sent its request, or last moved data. */
  readonly #sinceMs: Float64Array;
  readonly #dueMs: Float64Array;
  /** Idle lanes, in a ring so that all take turns. */
  readonly #free: Int32Array;
  readonly #results: readonly LaneResult[] | undefined;
  #firstFree = 0;
  #freeCount = 0;
  #unopened: number;
  #busyCount = 0;
  #schedule: LoadSchedule | undefined;
  #series: LoadSeries | undefined;
  #startMs = 0;
  #endMs: number | undefined;
  #requestsDone = 0;
  #failed = 0;
  #bytesSent = 0;
  #bytesReceived = 0;
  readonly #endings = new Set<Cancel>();
  #cancelWake: Cancel | undefined;
  #done: () => void = () => {};

  constructor(options: LoadRunOptions, makeLane: LaneFactory) {
    const { connections } = options;
    this.#options = options;
    this.#clock = options.clock;
    this.#states = new Uint8Array(connections);
    this.#sinceMs = new Float64Array(connections);
    this.#dueMs = new Float64Array(connections);
    this.#free = new Int32Array(connections);
    this.#unopened = connections;
    this.#results =
      options.isPerLane === true
        ? Array.from({ length: connections }, () => ({ response: new Latency(), sourcePort: undefined, failed: 0 }))
        : undefined;
    this.#lanes = Array.from({ length: connections }, (_lane, index) =>
      makeLane(index, {
        ready: (sourcePort) => this.#ready(index, sourcePort),
        answered: () => this.#answered(index),
        moved: (sentBytes, receivedBytes) => this.#moved(index, sentBytes, receivedBytes),
        failed: (kind, cause) => this.#laneFailed(index, kind, cause),
      }),
    );
  }

  /** `done` is called once, when the load ends by itself. All lanes are closed by then. */
  start(done: () => void): void {
    this.#done = done;
    const { timeoutMs } = this.#options;
    const sweepMs = Math.min(longestSweepMs, Math.max(shortestSweepMs, timeoutMs / 10));
    this.#endings.add(this.#clock.every(sweepMs, () => this.#sweep()));
    for (let index = 0; index < this.#lanes.length; index += 1) this.#open(index);
  }

  /** Ends the load immediately and closes all lanes. */
  stop(): void {
    if (this.#endMs !== undefined) return;
    this.#endMs = this.#clock.monotonicMs();
    this.#series?.end(this.#endMs);
    this.#cancelWake?.();
    for (const end of this.#endings) end();
    this.#states.fill(states.closed);
    for (const lane of this.#lanes) lane.close();
  }

  counts(): LoadCounts {
    return {
      elapsedMs: this.#schedule === undefined ? 0 : (this.#endMs ?? this.#clock.monotonicMs()) - this.#startMs,
      answered: this.response.count,
      failed: this.#failed,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
    };
  }

  /** The seconds that are over. */
  get seconds(): readonly LoadSecond[] {
    return this.#series?.seconds ?? [];
  }

  /** By lane, if they are kept apart. */
  get flows(): readonly LoadFlow[] | undefined {
    return this.#results?.map(({ sourcePort, failed, response }) => ({
      sourcePort,
      answered: response.count,
      failed,
      response: response.summary(),
    }));
  }

  /** That of the most frequent error, or `ok` if there was none. */
  get outcome(): Outcome {
    const [kind] = [...this.errors].sort(([, one], [, other]) => other - one)[0] ?? [];
    return kind === undefined ? 'ok' : (this.#outcomes.get(kind) ?? 'failed');
  }

  /** Requests sent, but neither answered nor failed. */
  get unfinished(): number {
    return this.#busyCount;
  }

  /** Requests due but not sent, and how long the oldest has been due. */
  get backlog(): { readonly waiting: number; readonly behindMs: number } {
    const nowMs = this.#endMs ?? this.#clock.monotonicMs();
    const waiting = this.#schedule?.waiting(nowMs) ?? 0;
    return { waiting, behindMs: waiting === 0 ? 0 : nowMs - (this.#schedule?.nextDueMs(nowMs) ?? nowMs) };
  }

  #open(index: number): void {
    this.#states[index] = states.opening;
    this.#sinceMs[index] = this.#clock.monotonicMs();
    this.#lanes[index]?.open();
  }

  #ready(index: number, sourcePort: number | undefined): void {
    const result = this.#results?.[index];
    if (result !== undefined) result.sourcePort = sourcePort;
    this.#states[index] = states.ready;
    if (this.#schedule === undefined) {
      this.#putFree(index);
      this.#opened();
    } else this.#next(index, this.#clock.monotonicMs());
  }

  /** Another lane has opened or failed for the first time. */
  #opened(): void {
    this.#unopened -= 1;
    if (this.#unopened > 0) return;
    const { perSecond, requests = Infinity, durationMs } = this.#options;
    this.#startMs = this.#clock.monotonicMs();
    this.#series = new LoadSeries(this.#startMs, this.#options.onSecond);
    this.#schedule =
      perSecond === undefined
        ? new ClosedSchedule(requests)
        : // Requests due at the end or later are not part of the load.
          new OpenSchedule(this.#startMs, perSecond, Math.min(requests, Math.ceil((durationMs * perSecond) / 1000)));
    this.#finishAt(this.#startMs + durationMs);
    for (const [index, state] of this.#states.entries()) if (state === states.resting) this.#rest(index);
    this.#deal();
  }

  /** Assigns due requests to idle lanes and schedules the next call. */
  #deal(): void {
    this.#cancelWake = undefined;
    const nowMs = this.#clock.monotonicMs();
    while (this.#freeCount > 0 && this.#endMs === undefined) {
      const dueMs = this.#schedule?.take(nowMs);
      if (dueMs === undefined) break;
      this.#send(this.#takeFree(), dueMs, nowMs);
    }
    this.#wakeForNext();
  }

  #wakeForNext(): void {
    if (this.#cancelWake !== undefined || this.#freeCount === 0 || this.#endMs !== undefined) return;
    const nowMs = this.#clock.monotonicMs();
    const dueMs = this.#schedule?.nextDueMs(nowMs) ?? Infinity;
    if (dueMs !== Infinity) this.#cancelWake = this.#options.wake(Math.max(0, dueMs - nowMs), () => this.#deal());
  }

  /** Gives an idle lane the oldest due request, or puts it back in the ring. */
  #next(index: number, nowMs: number): void {
    const dueMs = this.#schedule?.take(nowMs);
    if (dueMs !== undefined) return this.#send(index, dueMs, nowMs);
    this.#putFree(index);
    this.#wakeForNext();
  }

  #send(index: number, dueMs: number, nowMs: number): void {
    this.#states[index] = states.busy;
    this.#busyCount += 1;
    this.#sinceMs[index] = nowMs;
    this.#dueMs[index] = dueMs;
    this.#lanes[index]?.request();
  }

  #answered(index: number): void {
    const nowMs = this.#clock.monotonicMs();
    const responseMs = Math.max(0, nowMs - (this.#dueMs[index] ?? nowMs));
    this.response.record(responseMs);
    this.#series?.answered(nowMs, responseMs);
    this.#results?.[index]?.response.record(responseMs);
    this.service.record(Math.max(0, nowMs - (this.#sinceMs[index] ?? nowMs)));
    this.#states[index] = states.ready;
    if (!this.#requestDone()) this.#next(index, nowMs);
  }

  #moved(index: number, sentBytes: number, receivedBytes: number): void {
    this.#bytesSent += sentBytes;
    this.#bytesReceived += receivedBytes;
    this.#series?.moved(sentBytes, receivedBytes);
    if (this.#options.isFlow) this.#sinceMs[index] = this.#clock.monotonicMs();
  }

  #laneFailed(index: number, kind: string, cause?: Error): void {
    const was = this.#states[index];
    this.#states[index] = states.resting;
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1);
    this.#outcomes.set(kind, laneOutcomes[kind] ?? (cause === undefined ? 'failed' : outcomeOf(cause)));
    this.#failed += 1;
    this.#series?.failed(this.#clock.monotonicMs());
    const result = this.#results?.[index];
    if (result !== undefined) result.failed += 1;
    if (was === states.ready) this.#removeFree(index);
    // Failed lanes are not retried before the start, which waits for the first result of each lane.
    if (this.#schedule !== undefined) this.#rest(index);
    else if (was === states.opening) this.#opened();
    if (was === states.busy) this.#requestDone();
  }

  #rest(index: number): void {
    const cancel = this.#clock.after(restMs, () => {
      this.#endings.delete(cancel);
      this.#open(index);
    });
    this.#endings.add(cancel);
  }

  /** Counts a completed request, successful or not. Returns true if it was the last and the load has ended. */
  #requestDone(): boolean {
    this.#busyCount -= 1;
    this.#requestsDone += 1;
    if (this.#requestsDone !== this.#options.requests) return false;
    this.#finish();
    return true;
  }

  #finishAt(endMs: number): void {
    const leftMs = endMs - this.#clock.monotonicMs();
    // Node's timers have millisecond resolution and may fire a fraction early.
    if (leftMs <= 0) this.#finish();
    else this.#endings.add(this.#clock.after(Math.ceil(leftMs), () => this.#finishAt(endMs)));
  }

  #finish(): void {
    this.stop();
    this.#done();
  }

  /** Fails lanes that have timed out. A single timer serves all requests. */
  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#series?.advance(nowMs);
    const lateMs = nowMs - this.#options.timeoutMs;
    for (let index = 0; index < this.#lanes.length; index += 1) {
      const state = this.#states[index];
      if (state !== states.busy && state !== states.opening) continue;
      if ((this.#sinceMs[index] ?? 0) > lateMs) continue;
      this.#lanes[index]?.close();
      this.#laneFailed(index, state === states.busy ? this.#options.silence : laneFailures.timeout);
    }
  }

  #putFree(index: number): void {
    this.#free[(this.#firstFree + this.#freeCount) % this.#free.length] = index;
    this.#freeCount += 1;
  }

  #takeFree(): number {
    const index = this.#free[this.#firstFree] ?? 0;
    this.#firstFree = (this.#firstFree + 1) % this.#free.length;
    this.#freeCount -= 1;
    return index;
  }

  /** Removes a lane that failed while idle. */
  #removeFree(index: number): void {
    for (let left = this.#freeCount; left > 0; left -= 1) {
      const each = this.#takeFree();
      if (each !== index) this.#putFree(each);
    }
  }
}
