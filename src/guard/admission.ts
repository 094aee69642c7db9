import type { IpAddress } from '../address/ip-address.ts';
import type { AccessRules, StreamLimits } from '../config/config.ts';
import { isDenied, isExempt } from './access-list.ts';
import type { DescriptorShare } from './descriptor-budget.ts';
import { type SourceKey, SourceMask, sourceKey } from './source-prefix.ts';
import { TokenTable } from './token-bucket.ts';

/**
 * Why a stream client is refused; a closed set. `proxy-header`: it is no proxy that may speak for others, or has not said for whom. The others in the order in which the
 * rules are asked.
 */
export type RefuseReason = 'proxy-header' | 'denied' | 'limit' | 'source-limit' | 'rate';

/** The reasons that a dry run only counts. */
export type WouldRefuseReason = Extract<RefuseReason, 'limit' | 'source-limit' | 'rate'>;

/** A source, `192.0.2.7`, `2001:db8::/64` or `unix`, and its connections. */
export interface SourceCount {
  readonly source: string;
  readonly connections: number;
}

export interface AdmissionOptions {
  readonly limits: StreamLimits;
  readonly access: AccessRules;
  readonly descriptors: DescriptorShare;
  /** From 0 up to, but not including, 1. */
  readonly random: () => number;
  /** Told of each client that only a dry run admits. */
  readonly onWouldRefuse: (reason: WouldRefuseReason) => void;
}

/**
 * Which stream clients of one service are let in. A source is an IPv4 address, an IPv6 /64 (unless the config says otherwise), or all UNIX clients
 * together (`undefined`), whom no CIDR rule concerns. Limits refuse the client that exceeds them, never the service.
 */
export class Admission {
  readonly #limits: StreamLimits;
  readonly #access: AccessRules;
  readonly #descriptors: DescriptorShare;
  readonly #onWouldRefuse: (reason: WouldRefuseReason) => void;
  readonly #mask: SourceMask;
  readonly #rates: TokenTable;
  /** Connections of each source that has any. */
  readonly #bySource = new Map<SourceKey, number>();
  #active = 0;
  #reserved = 0;

  constructor({ limits, access, descriptors, random, onWouldRefuse }: AdmissionOptions) {
    this.#limits = limits;
    this.#access = access;
    this.#descriptors = descriptors;
    this.#onWouldRefuse = onWouldRefuse;
    this.#mask = new SourceMask(limits.sourcePrefix);
    this.#rates = new TokenTable(limits.connectionRate, random);
  }

  /** Connections admitted and not yet released. */
  get active(): number {
    return this.#active;
  }

  /** The sources that have the most connections, at most `count` of them, the first first. */
  topSources(count: number): readonly SourceCount[] {
    const sources = [...this.#bySource].map(([key, connections]) => ({ source: this.#mask.format(key), connections }));
    return sources.sort((one, other) => other.connections - one.connections).slice(0, count);
  }

  /**
   * Why the client is refused. `undefined`: it is admitted and counted, and its `release` is owed. A refused client
   * costs nothing. Times are monotonic milliseconds, 0 or more.
   */
  admit(source: IpAddress | undefined, nowMs: number): RefuseReason | undefined {
    if (source !== undefined && isDenied(this.#access, source)) return 'denied';
    // Not even a dry run has more descriptors than there are.
    if (!this.#descriptors.take()) return 'limit';
    const high = this.#mask.high(source);
    const low = this.#mask.low(source);
    const key = sourceKey(high, low);
    const ofSource = this.#bySource.get(key) ?? 0;
    const isBound = source === undefined || !isExempt(this.#access, source);
    const exceeded = this.#isFull ? 'limit' : isBound ? this.#exceededBySource(high, low, ofSource, nowMs) : undefined;
    if (exceeded !== undefined && !this.#limits.dryRun) {
      this.#descriptors.release();
      return exceeded;
    }
    if (exceeded !== undefined) this.#onWouldRefuse(exceeded);
    this.#bySource.set(key, ofSource + 1);
    this.#active++;
    return undefined;
  }

  /**
   * An admitted connection is gone. Exactly once for each: call it in one place alone, the socket's `close` event,
   * which Node emits once whatever ended the socket, and subscribe to that event only after `admit` returned
   * `undefined`. A source that has no connection is ignored, so the counts never fall below zero; a second release
   * while the source has others would free one too many.
   */
  release(source: IpAddress | undefined): void {
    const key = sourceKey(this.#mask.high(source), this.#mask.low(source));
    const ofSource = this.#bySource.get(key);
    if (ofSource === undefined) return;
    if (ofSource === 1) this.#bySource.delete(key);
    else this.#bySource.set(key, ofSource - 1);
    this.#active--;
    this.#descriptors.release();
  }

  /** A place for a client whose source is not known yet. Why there is none; `undefined`: its `cancel` is owed, before `admit` is asked. */
  reserve(): RefuseReason | undefined {
    if (!this.#limits.dryRun && this.#isFull) return 'limit';
    if (!this.#descriptors.take()) return 'limit';
    this.#reserved++;
    return undefined;
  }

  /** Gives the place of `reserve` back; once for each. */
  cancel(): void {
    this.#reserved--;
    this.#descriptors.release();
  }

  get #isFull(): boolean {
    return this.#active + this.#reserved >= this.#limits.maxConnections;
  }

  /** The limit of a source that one client more would exceed. */
  #exceededBySource(high: number, low: number, ofSource: number, nowMs: number): WouldRefuseReason | undefined {
    if (ofSource >= this.#limits.maxConnectionsPerSource) return 'source-limit';
    return this.#rates.take(high, low, nowMs) ? undefined : 'rate';
  }
}
