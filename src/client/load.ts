import { systemClock } from '../clock/clock.ts';
import { ask } from './dial/ask.ts';
import { type Endpoint, endOf } from './dial/connection.ts';
import { LoadStream } from './dial/load-stream.ts';
import { resolveHost } from './dial/resolve-host.ts';
import { parseTarget, type Target } from './dial/target.ts';
import { throwIfInterrupted, untilInterrupted } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import type { Outcome } from '../outcomes.ts';
import type { LatencyBucket, LatencySummary } from './latency.ts';
import { AskLane, DiscardDatagramLane, EchoDatagramLane } from './load/datagram-lanes.ts';
import { type LaneFactory, laneFailures, type LoadPeer, makePayloads } from './load/lane.ts';
import { type LoadCounts, type LoadFlow, LoadRun, type LoadRunOptions } from './load/run.ts';
import type { LoadSecond } from './load/series.ts';
import { ChargenStreamLane, DiscardStreamLane, EchoStreamLane, FetchLane } from './load/stream-lanes.ts';
import { mostFlows } from './requests/flows.ts';
import { readOpenFiles } from '../open-files.ts';
import {
  addressesFor,
  assertWithin,
  type EitherProtocolOptions,
  largestDatagramBytes,
  withDefaults,
} from './options.ts';
import { formatDuration } from '../units.ts';

export const loadServices = ['echo', 'discard', 'chargen', 'daytime', 'time', 'qotd', 'systat'] as const;

export type { LoadFlow, LoadSecond };

export type LoadService = (typeof loadServices)[number];

export interface LoadOptions extends EitherProtocolOptions {
  /** Default `echo`. */
  readonly service?: LoadService | undefined;
  /** The most requests in flight, each on its own connection or UDP socket: 1 to 10,000. Default 10. */
  readonly connections?: number | undefined;
  /**
   * For echo: this many connections, 1 to 256, instead of `connections`, each from a port of its own that it keeps. The
   * result tells of each. If `pathControls` has a source port, it is the first of consecutive ones. Otherwise the
   * system chooses, and over TCP another one after a failure to connect.
   */
  readonly flows?: number | undefined;
  /** 1 ms to 1 h. Default 10 s. */
  readonly durationMs?: number | undefined;
  /**
   * Open loop: total requests per second, above 0 and up to 1,000,000, sent when due regardless of earlier requests. If
   * no connection is free, a request waits, and its response time counts from when it was due. Default: each connection
   * sends its next request as soon as the last is answered.
   */
  readonly perSecond?: number | undefined;
  /** Ends the load after this many requests, answered or not. */
  readonly requests?: number | undefined;
  /**
   * Bytes per request, discard block or datagram: 1 to 1 MiB, UDP to 65,507, or 65,527 over IPv6. Default 64, discard
   * blocks 64 KiB.
   */
  readonly size?: number | undefined;
  /** Called with each second of the load when it is over. */
  readonly onSecond?: ((second: LoadSecond) => void) | undefined;
  /** Called four times a second with the progress. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

export interface LoadProgress extends LoadCounts {
  readonly durationMs: number;
  readonly requests: number | undefined;
  /** Undefined if nothing was answered or the service has no requests. */
  readonly p99Ms: number | undefined;
  /** Undefined before the first second is over. */
  readonly lastSecond: LoadSecond | undefined;
}

export interface LoadResult extends LoadCounts {
  readonly service: LoadService;
  readonly protocol: 'tcp' | 'udp';
  readonly peer: Endpoint;
  readonly connections: number;
  /** Whether the signal ended it early. */
  readonly isInterrupted: boolean;
  readonly answeredPerSecond: number;
  /** Number of errors by kind: `connection refused`, `timeout`, `wrong content`, `lost`… */
  readonly errors: Readonly<Record<string, number>>;
  /** `ok` if every request was answered. Otherwise that of the most frequent error, or `timeout` without any answer. */
  readonly outcome: Outcome;
  /** Requests in flight at the end. */
  readonly unfinished: number;
  readonly bytesSentPerSecond: number;
  readonly bytesReceivedPerSecond: number;
  /** Set for an open loop. */
  readonly openLoop: OpenLoopResult | undefined;
  /** Time from when an answered request was due to its answer. In a closed loop, a request is due when it is sent. */
  readonly response: LatencySummary | undefined;
  /** Time from sending a request to its answer. With one connection per request, this includes connecting. */
  readonly serviceTime: LatencySummary | undefined;
  /** The course of the load. The last second may be shorter. */
  readonly perSecond: readonly LoadSecond[];
  /** By source port, with `flows`. */
  readonly flows: readonly LoadFlow[] | undefined;
  /** The distribution of response times. */
  readonly distribution: readonly LatencyBucket[];
}

export interface OpenLoopResult {
  readonly wantedPerSecond: number;
  /** Requests that were due but not sent before the end. Their response times are missing from the percentiles. */
  readonly waiting: number;
  /** How long the oldest of them had been due. */
  readonly behindMs: number;
}

const maxConnections = 10_000;
const maxDurationMs = 3_600_000;
export const maxPerSecond = 1_000_000;
const maxSize = 1024 * 1024;
const defaultSize = 64;
const discardBlockSize = 64 * 1024;
/** Files that a process opens besides its connections: standard streams, epoll, thread pipes, a name lookup. */
const ownFiles = 8;
const progressMs = 250;

/**
 * Puts a server under load. All connections are made before the time starts and closed when it resolves. Errors of
 * single requests are only counted. Throws `ARGUMENT_INVALID`, also if the limit on open files is too low for the
 * connections, `HOST_NOT_FOUND` and `CONNECT_FAILED` if the server cannot be reached, `NO_ANSWER` if a UDP peer never
 * answers, and `INTERRUPTED` if the signal aborts before there is a result. A later signal ends the load with the
 * results so far.
 */
export async function load(host: string, options: LoadOptions = {}): Promise<LoadResult> {
  const plan = checked(options);
  const target = parseTarget(host, plan.protocol, plan.service);
  const prepare = plan.protocol === 'udp' ? prepareDatagrams : prepareStreams;
  const { makeLane, peer } = await prepare(target, plan, options);
  const { clock = systemClock, signal, onProgress } = options;
  const run = new LoadRun(
    {
      ...plan,
      onSecond: options.onSecond,
      clock,
      wake: options.clock === undefined ? wakeExactly : (ms, task) => clock.after(ms, task),
    },
    makeLane,
  );
  const report = (): void => {
    const p99Ms = run.response.count === 0 ? undefined : run.response.percentileMs(99);
    onProgress?.({
      ...run.counts(),
      durationMs: plan.durationMs,
      requests: plan.requests,
      p99Ms,
      lastSecond: run.seconds.at(-1),
    });
  };
  const stopReports = onProgress === undefined ? () => {} : clock.every(progressMs, report);
  // Between two attempts there may be no socket to keep the process alive.
  const alive = setInterval(() => {}, 1 << 30);
  const ended = new Promise<boolean>((resolve) => run.start(() => resolve(false)));
  const isInterrupted = await untilInterrupted(ended, signal).catch((error: unknown) => {
    if (endOf(error) !== 'interrupted') throw error;
    return true;
  });
  clearInterval(alive);
  run.stop();
  stopReports();
  const { elapsedMs, answered, failed, bytesSent, bytesReceived } = run.counts();
  // What is sent is a result of a byte stream alone: elsewhere it may be that nobody answers.
  const hasResult = answered + failed + (plan.isFlow ? bytesSent + bytesReceived : 0) > 0;
  if (!hasResult) throwIfInterrupted(signal);
  const perSecond = (count: number): number => (elapsedMs === 0 ? 0 : (count * 1000) / elapsedMs);
  return {
    service: plan.service,
    protocol: plan.protocol,
    peer: { address: peer.address.address, port: peer.port },
    connections: plan.connections,
    elapsedMs,
    isInterrupted,
    answered,
    answeredPerSecond: perSecond(answered),
    failed,
    errors: Object.fromEntries(run.errors),
    outcome: hasResult ? run.outcome : 'timeout',
    unfinished: plan.isFlow ? 0 : run.unfinished,
    bytesSent,
    bytesReceived,
    bytesSentPerSecond: perSecond(bytesSent),
    bytesReceivedPerSecond: perSecond(bytesReceived),
    openLoop: plan.perSecond === undefined ? undefined : { wantedPerSecond: plan.perSecond, ...run.backlog },
    response: run.response.summary(),
    serviceTime: run.service.summary(),
    perSecond: run.seconds,
    flows: run.flows,
    distribution: run.response.distribution(),
  };
}

/** The options with defaults applied, and values derived from them. */
interface LoadPlan extends Omit<LoadRunOptions, 'clock' | 'wake'> {
  readonly service: LoadService;
  readonly protocol: 'tcp' | 'udp';
  readonly size: number;
}

function checked(options: LoadOptions): LoadPlan {
  const { service = 'echo', flows, connections = flows ?? 10, durationMs = 10_000, perSecond, requests } = options;
  const isUdp = options.udp === true;
  const isFlow = !isUdp && (service === 'discard' || service === 'chargen');
  const size = options.size ?? (isFlow ? discardBlockSize : defaultSize);
  const most = isUdp ? largestDatagramBytes.ipv6 : maxSize;
  requireThat(loadServices.includes(service), `no load test for ${service}: expected ${loadServices.join(', ')}`);
  assertWithin('the number of flows', flows ?? 1, 1, mostFlows);
  requireThat(flows === undefined || options.connections === undefined, 'flows take the place of connections');
  requireThat(flows === undefined || service === 'echo', `no flows for ${service}: only echo has them`);
  assertWithin('the number of connections', connections, 1, maxConnections);
  requireThat(
    durationMs >= 1 && durationMs <= maxDurationMs,
    `the duration is ${formatDuration(durationMs)}: expected 1ms to 1h`,
  );
  assertWithin('the size of a request', size, 1, most);
  requireThat(
    perSecond === undefined || (perSecond > 0 && perSecond <= maxPerSecond),
    `the rate is ${perSecond} requests per second: expected above 0 and up to ${maxPerSecond}`,
  );
  assertWithin('the number of requests', requests ?? 1, 1, Number.MAX_SAFE_INTEGER);
  requireThat(
    !isFlow || (perSecond === undefined && requests === undefined),
    `${service} over TCP is a byte stream without requests: --requests and --rate do not apply`,
  );
  const { sourcePort } = options.pathControls ?? {};
  requireThat(
    sourcePort === undefined || flows !== undefined,
    '--source-port needs --flows: load makes many connections',
  );
  assertWithin('the last source port', (sourcePort ?? 1) + (flows ?? 1) - 1, 1, 65_535);
  requireOpenFiles(connections);
  const { timeoutMs } = withDefaults(options);
  const silence = isUdp ? laneFailures.lost : laneFailures.timeout;
  const protocol = isUdp ? 'udp' : 'tcp';
  return {
    service,
    protocol,
    size,
    connections,
    durationMs,
    perSecond,
    requests,
    isFlow,
    isPerLane: flows !== undefined,
    timeoutMs,
    silence,
  };
}

function requireThat(holds: boolean, message: string): void {
  if (!holds) throw new SmallservdError('ARGUMENT_INVALID', message);
}

/** Fails early, because otherwise the load would measure the limit on open files. */
function requireOpenFiles(connections: number): void {
  const files = readOpenFiles();
  if (files === undefined) return;
  const needed = files.open + ownFiles + connections;
  requireThat(
    needed <= files.limit,
    `${connections} connections need ${needed} open files, and only ${files.limit} are allowed: ulimit -n ${needed}`,
  );
}

/** The address that answers, and how to make lanes to it. */
interface Prepared {
  readonly peer: LoadPeer;
  readonly makeLane: LaneFactory;
}

async function prepareStreams(
  target: Target,
  { service, size, isPerLane = false }: LoadPlan,
  options: LoadOptions,
): Promise<Prepared> {
  if (isPerLane) {
    const peer = await flowPeer(target, 0, options);
    const payloads = makePayloads(size);
    return { peer, makeLane: (index, events) => new EchoStreamLane(ofFlow(peer, index), index, payloads, events) };
  }
  const first = await LoadStream.first(target, withDefaults(options));
  const peer: LoadPeer = {
    address: first.address,
    port: target.port,
    pathControls: options.pathControls,
    keepsPorts: false,
  };
  // The connection that found the address becomes the first lane's, so the server never sees an extra one.
  const own = (index: number): LoadStream | undefined => (index === 0 ? first : undefined);
  switch (service) {
    case 'echo': {
      const payloads = makePayloads(size);
      return { peer, makeLane: (index, events) => new EchoStreamLane(peer, index, payloads, events, own(index)) };
    }
    case 'discard': {
      const block = Buffer.alloc(size, 'discard ');
      return { peer, makeLane: (index, events) => new DiscardStreamLane(peer, block, events, own(index)) };
    }
    case 'chargen':
      return { peer, makeLane: (index, events) => new ChargenStreamLane(peer, events, own(index)) };
    default:
      // These services answer the connection itself, so it is used up.
      first.destroy();
      return { peer, makeLane: (_index, events) => new FetchLane(peer, service, events) };
  }
}

/** For flows: one that cannot connect is no failure of the load, so nothing is tried first. */
async function flowPeer(target: Target, sizeBytes: number, options: LoadOptions): Promise<LoadPeer> {
  const patient = withDefaults(options);
  const [address] = addressesFor(sizeBytes, await resolveHost(target.host, patient.family, patient));
  return { address, port: target.port, pathControls: options.pathControls, keepsPorts: true };
}

/** The peer with the source port of a flow, if it is not the system that chooses. */
function ofFlow(peer: LoadPeer, index: number): LoadPeer {
  const { sourcePort } = peer.pathControls ?? {};
  if (sourcePort === undefined) return peer;
  return { ...peer, pathControls: { ...peer.pathControls, sourcePort: sourcePort + index } };
}

async function prepareDatagrams(
  target: Target,
  { service, size, isPerLane = false }: LoadPlan,
  options: LoadOptions,
): Promise<Prepared> {
  const patient = withDefaults(options);
  const payloads = makePayloads(size);
  const payload = payloads[0] as Buffer;
  if (service === 'discard') {
    // Discard never answers, so there is nothing to wait for.
    const [address] = addressesFor(size, await resolveHost(target.host, patient.family, patient));
    const peer = { address, port: target.port, pathControls: options.pathControls };
    return { peer, makeLane: (_index, events) => new DiscardDatagramLane(peer, payload, events) };
  }
  if (isPerLane) {
    const peer = await flowPeer(target, size, options);
    return { peer, makeLane: (index, events) => new EchoDatagramLane(ofFlow(peer, index), index, payloads, events) };
  }
  // Only IPv6 has room for more, whatever addresses a name has.
  const isLarge = size > largestDatagramBytes.ipv4;
  if (isLarge) addressesFor(size, await resolveHost(target.host, patient.family, patient));
  const { address } = (await ask(target, () => payload, isLarge ? { ...patient, family: 'ipv6' } : patient)).peer;
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const peer: LoadPeer = {
    address: { address, family },
    port: target.port,
    pathControls: options.pathControls,
    keepsPorts: false,
  };
  if (service === 'echo')
    return { peer, makeLane: (index, events) => new EchoDatagramLane(peer, index, payloads, events) };
  return { peer, makeLane: (_index, events) => new AskLane(peer, service, payload, events) };
}

/** Sleeps exactly: Node's timers have millisecond resolution and may fire late, so the last two are spent polling. */
function wakeExactly(ms: number, task: () => void): () => void {
  if (ms > 2) {
    const timer = setTimeout(task, Math.floor(ms) - 1);
    return () => clearTimeout(timer);
  }
  const turn = setImmediate(task);
  return () => clearImmediate(turn);
}
