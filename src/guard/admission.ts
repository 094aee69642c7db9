import { formatIp, type IpAddress, isIpv4 } from '../address/ip-address.ts';
import type { AccessRules, StreamLimits } from '../config/config.ts';
import { isDenied, isExempt } from './access-list.ts';
import { TokenTable } from './token-bucket.ts';

/** Why a stream client is refused, in the order in which the rules are asked. */
export type RefuseReason = 'denied' | 'limit' | 'source-limit' | 'rate';

/** A source, `192.0.2.7`, `2001:db8::/64` or `unix`, and its connections. */
export interface SourceCount {
  readonly source: string;
  readonly connections: number;
}

/** Stand for the family among the rates. An IPv6 address that begins so is multicast, from which nobody connects. */
const ipv4Word = 0xffffffff;
const unixWord = 0xfffffffe;

/**
 * Which stream clients of one service are let in. A source is an IPv4 address, an IPv6 /64, or all UNIX clients
 * together (`undefined`), whom no CIDR rule concerns. Limits refuse the client that exceeds them, never the service.
 */
export class Admission {
  readonly #limits: StreamLimits;
  readonly #access: AccessRules;
  readonly #rates: TokenTable;
  /** Connections of each source that has any. */
  readonly #bySource = new Map<number | string, number>();
  #active = 0;

  /** `random` gives numbers from 0 up to, but not including, 1. */
  constructor(limits: StreamLimits, access: AccessRules, random: () => number) {
    this.#limits = limits;
    this.#access = access;
    this.#rates = new TokenTable(limits.connectionRate, random);
  }

  /** Connections admitted and not yet released. */
  get active(): number {
    return this.#active;
  }

  /** The sources that have the most connections, at most `count` of them, the first first. */
  topSources(count: number): readonly SourceCount[] {
    const sources = [...this.#bySource].map(([key, connections]) => ({ source: nameOf(key), connections }));
    return sources.sort((one, other) => other.connections - one.connections).slice(0, count);
  }

  /**
   * Why the client is refused. `undefined`: it is admitted and counted, and its `release` is owed. A refused client
   * costs nothing. Times are monotonic milliseconds, 0 or more.
   */
  admit(source: IpAddress | undefined, nowMs: number): RefuseReason | undefined {
    if (source !== undefined && isDenied(this.#access, source)) return 'denied';
    if (this.#active >= this.#limits.maxConnections) return 'limit';
    const key = keyOf(source);
    const ofSource = this.#bySource.get(key) ?? 0;
    if (source === undefined || !isExempt(this.#access, source)) {
      if (ofSource >= this.#limits.maxConnectionsPerSource) return 'source-limit';
      if (!this.#takeRate(source, nowMs)) return 'rate';
    }
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
    const key = keyOf(source);
    const ofSource = this.#bySource.get(key);
    if (ofSource === undefined) return;
    if (ofSource === 1) this.#bySource.delete(key);
    else this.#bySource.set(key, ofSource - 1);
    this.#active--;
  }

  #takeRate(source: IpAddress | undefined, nowMs: number): boolean {
    if (source === undefined) return this.#rates.take(unixWord, 0, nowMs);
    return isIpv4(source)
      ? this.#rates.take(ipv4Word, source.w3, nowMs)
      : this.#rates.take(source.w0, source.w1, nowMs);
  }
}

function nameOf(key: number | string): string {
  if (key === 'unix') return key;
  if (typeof key === 'number') return formatIp({ w0: 0, w1: 0, w2: 0xffff, w3: key });
  const [w0 = 0, w1 = 0] = key.split(':').map(Number);
  return `${formatIp({ w0, w1, w2: 0, w3: 0 })}/64`;
}

function keyOf(source: IpAddress | undefined): number | string {
  if (source === undefined) return 'unix';
  return isIpv4(source) ? source.w3 : `${source.w0}:${source.w1}`;
}
