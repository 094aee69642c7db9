import {
  type IpAddress,
  isBroadcast,
  isIpv4,
  isMulticast,
  isReserved,
  isUnspecified,
} from '../../address/ip-address.ts';
import { largestPayloadWithin, wireSize } from '../../wire-size.ts';
import { isDenied, isExempt } from './access-list.ts';
import type { ProxiedRequest } from './datagram-intake.ts';
import type { AccessRules, DatagramLimits } from './limits.ts';
import type { LoopBreaker } from './loop-breaker.ts';
import { SourceMask } from './source-prefix.ts';
import type { SharedLimits } from './shared-limits.ts';
import { TokenBucket, TokenTable } from './token-bucket.ts';

/**
 * Why a datagram or its reply is dropped, in the order of the checks. The transport counts the first three (no room in
 * the receive buffer, sent to more than this machine, no client named by a trusted proxy) and the last four: a reply
 * cut by `fitting`, a full send queue, a reply that the kernel refused, a service that threw. `judge` returns the
 * others.
 */
export type DropReason =
  | 'overflow'
  | 'destination'
  | 'proxy-header'
  | 'source-port'
  | 'source-address'
  | 'denied'
  | 'rate'
  | 'loop'
  | 'amplification'
  | 'busy'
  | 'send-error'
  | 'service-error';

/** Reasons that a dry run only counts. */
export type WouldDropReason = Extract<DropReason, 'rate'>;

export interface DatagramGuardOptions {
  readonly limits: DatagramLimits;
  readonly access: AccessRules;
  /** The UDP ports being served. May grow. */
  readonly ownPorts: ReadonlySet<number>;
  /** IPv4 broadcast addresses of our interfaces as unsigned 32-bit words. May change. */
  readonly broadcasts: ReadonlySet<number>;
  /** Returns numbers from 0 up to, but not including, 1. */
  readonly random: () => number;
  /** If several processes read sockets of the service: what they share, so that the rates hold for all together. */
  readonly shared?: SharedLimits | undefined;
  /** Shared by all services of the process. */
  readonly loops: LoopBreaker;
  /** Called once for each loop that is found. */
  readonly onLoop?: (source: IpAddress, port: number) => void;
  /** Called for each datagram answered only because of the dry run. */
  readonly onWouldDrop?: (reason: WouldDropReason) => void;
}

const firstUnprivilegedPort = 1024;
const nothing = new Uint8Array(0);

/** SSDP, NFS, WS-Discovery, mDNS and memcached. They may answer our reply to a spoofed request. */
const reflectorPorts: ReadonlySet<number> = new Set([1900, 2049, 3702, 5353, 11_211]);

/** Limited by 16-bit length fields: the packet including its header in IPv4, the payload in IPv6. */
const largestPayloadIpv4 = 65_507;
const largestPayloadIpv6 = 65_527;

/** The rules between a UDP socket and a service: which datagrams are answered, and with how much. Drops are silent. */
export class DatagramGuard {
  readonly #options: DatagramGuardOptions;
  readonly #allowedPorts: ReadonlySet<number>;
  readonly #mask: SourceMask;
  readonly #sourceRates: TokenTable;
  readonly #serviceRate: TokenBucket;
  /** The time of the datagrams being judged, and the same moment for the rates. */
  #nowMs = -1;
  #ratesNowMs = -1;

  constructor(options: DatagramGuardOptions) {
    const { limits, random, shared } = options;
    this.#options = options;
    this.#allowedPorts = new Set(limits.allowSourcePorts);
    this.#mask = new SourceMask(limits.sourcePrefix);
    this.#sourceRates =
      shared === undefined
        ? TokenTable.own(limits.datagramRate, random)
        : new TokenTable(limits.datagramRate, shared.hash, shared.datagramRates);
    this.#serviceRate = new TokenBucket(limits.datagramServiceRate, shared?.datagramServiceRate);
  }

  /**
   * Returns the reason to drop the datagram, or undefined to admit it. Times are monotonic milliseconds, 0 or more.
   * `isProxied`: a proxy has named the source, and may name anyone.
   */
  judge(
    source: IpAddress,
    port: number,
    request: Uint8Array,
    nowMs: number,
    isProxied: boolean = false,
  ): DropReason | undefined {
    if (this.#isRefusedPort(port)) return 'source-port';
    if (this.#isRefusedAddress(source)) return 'source-address';
    const { limits, access, onWouldDrop } = this.#options;
    if (isDenied(access, source)) return 'denied';
    if (!isExempt(access, source, isProxied) && !this.#takeRate(source, nowMs)) {
      if (!limits.dryRun) return 'rate';
      onWouldDrop?.('rate');
    }
    return this.#judgeLoop(source, port, request, nowMs);
  }

  /**
   * Returns the reason to drop what a proxy has sent for a client, which `judge` judges. Replies go to the proxy. So
   * whoever forges its address must not make us talk to a service there, whose answers have no header.
   */
  judgeProxy(
    proxy: IpAddress,
    port: number,
    { payload, hasHeader }: ProxiedRequest,
    nowMs: number,
  ): DropReason | undefined {
    if (this.#isRefusedPort(port)) return 'source-port';
    if (this.#isRefusedAddress(proxy)) return 'source-address';
    const { loops } = this.#options;
    // A proxy may have more ports than can be watched. What comes from the others is bounded by the client's rates.
    if (hasHeader || !loops.watches(proxy, port, nowMs)) return undefined;
    const refusal = this.#judgeLoop(proxy, port, payload, nowMs);
    // Empty ones are what clients of daytime send.
    if (refusal === undefined && payload.length > 0) loops.remember(proxy, port, nothing, payload, nowMs);
    return refusal;
  }

  /**
   * The largest payload, in bytes, of a single reply to a request of `requestLength` bytes. It is limited to
   * `maxAmplification` times the request's size on the wire, and to one datagram. Negative if not even an empty reply
   * fits. `receiver`: whoever the reply is sent to, which is the proxy if there is one.
   */
  replyLimit(receiver: IpAddress, requestLength: number): number {
    const isV4 = isIpv4(receiver);
    const budget = this.#budget(requestLength, isV4);
    if (budget < wireSize(0, isV4)) return -1;
    return Math.min(largestPayloadWithin(budget, isV4), largestPayload(isV4));
  }

  /** How many replies may be sent: the longest prefix whose total size on the wire fits the same budget. */
  fitting(receiver: IpAddress, requestLength: number, replies: readonly Uint8Array[]): number {
    const isV4 = isIpv4(receiver);
    let left = this.#budget(requestLength, isV4);
    let count = 0;
    for (const { length } of replies) {
      left -= wireSize(length, isV4);
      if (left < 0 || length > largestPayload(isV4)) break;
      count++;
    }
    return count;
  }

  /** Call for each reply sent. The loop rule compares later datagrams with both. */
  sent(source: IpAddress, port: number, request: Uint8Array, reply: Uint8Array, nowMs: number): void {
    this.#options.loops.remember(source, port, request, reply, nowMs);
  }

  #judgeLoop(source: IpAddress, port: number, request: Uint8Array, nowMs: number): DropReason | undefined {
    const { loops, onLoop } = this.#options;
    const verdict = loops.repeats(source, port, request, nowMs);
    if (verdict === 'no') return undefined;
    if (verdict === 'crowded') return 'rate';
    if (verdict === 'found') onLoop?.(source, port);
    return 'loop';
  }

  #isRefusedPort(port: number): boolean {
    if (port === 0) return true;
    const isDangerous = port < firstUnprivilegedPort || reflectorPorts.has(port) || this.#options.ownPorts.has(port);
    return isDangerous && !this.#allowedPorts.has(port);
  }

  #isRefusedAddress(source: IpAddress): boolean {
    return (
      isUnspecified(source) ||
      isMulticast(source) ||
      isReserved(source) ||
      isBroadcast(source) ||
      (isIpv4(source) && this.#options.broadcasts.has(source.w3))
    );
  }

  /**
   * Takes a token from both the source (by default an IPv4 /24, an IPv6 /56 or a link-local host) and the service, or
   * from neither.
   */
  #takeRate(source: IpAddress, currentMs: number): boolean {
    const nowMs = this.#timeForRates(currentMs);
    if (!this.#serviceRate.ready(nowMs)) return false;
    const mask = this.#mask;
    const hostHigh = mask.hostHigh(source);
    const hostLow = mask.hostLow(source);
    const admitted = this.#sourceRates.take(mask.high(source), mask.low(source), nowMs, hostHigh, hostLow);
    return admitted && this.#serviceRate.take(nowMs);
  }

  /** Asks once for each batch. */
  #timeForRates(nowMs: number): number {
    if (nowMs !== this.#nowMs) {
      this.#nowMs = nowMs;
      this.#ratesNowMs = this.#options.shared?.nowMs() ?? nowMs;
    }
    return this.#ratesNowMs;
  }

  #budget(requestLength: number, isV4: boolean): number {
    return this.#options.limits.maxAmplification * wireSize(requestLength, isV4);
  }
}

function largestPayload(isV4: boolean): number {
  return isV4 ? largestPayloadIpv4 : largestPayloadIpv6;
}
