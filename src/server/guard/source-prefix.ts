import { formatIp, type IpAddress, isIpv4, isLinkLocalIpv6 } from '../../address/ip-address.ts';
import type { SourcePrefix } from './limits.ts';

/** A client of a UNIX socket. */
export interface UnixUser {
  /** Undefined if the kernel does not report it. All such clients are one source. */
  readonly uid: number | undefined;
}

/** The origin of a client. */
export type Source = IpAddress | UnixUser;

/** Mark the family in the first word of a source. As IPv6 these would be multicast, which is never a source. */
export const ipv4Word = 0xffffffff;
export const unixWord = 0xfffffffe;
export const linkWord = 0xfffffffd;

/** (uid_t) -1, which no user has, see setuid(2). */
const unknownUid = 0xffffffff;

export function isUnixUser(source: Source): source is UnixUser {
  return 'uid' in source;
}

/** Interfaces may have any name without space, slash and colon. Those with control characters are not shown. */
const plainZone = /^[^\p{C}\p{Z}]{1,15}$/u;

/** What `SourceMask.format` returns, and `port 7`. It cannot be long, nor does anything in it become longer in JSON. */
export const sourceText =
  /^(?:port \d{1,5}|unix(?::\d{1,10})?|[\d.a-f:]{2,45}(?:\/\d{1,3})?|fe[89ab][\da-f:]{2,36}%[^\p{C}\p{Z}]{1,15})$/u;

/** What tells a source from others. All words have 32 bits. */
export interface SourceKey {
  readonly high: number;
  readonly low: number;
  /** The interface identifier of a link-local host, and else 0. */
  readonly hostHigh: number;
  readonly hostLow: number;
}

/**
 * Masks addresses to the bits that distinguish sources, because anyone with a network of their own has unlimited
 * addresses. A link-local IPv6 address is masked to its link and its interface identifier (RFC 4291 section 2.5.6):
 * hosts on one link share all other bits, and are neighbors, not one customer.
 */
export class SourceMask {
  readonly #prefix: SourcePrefix;
  readonly #ipv4: number;
  readonly #ipv6High: number;
  readonly #ipv6Low: number;

  constructor(prefix: SourcePrefix) {
    this.#prefix = prefix;
    this.#ipv4 = maskOf(prefix.ipv4);
    this.#ipv6High = maskOf(Math.min(prefix.ipv6, 32));
    this.#ipv6Low = maskOf(Math.max(prefix.ipv6 - 32, 0));
  }

  high(source: Source): number {
    if (isUnixUser(source)) return unixWord;
    if (isLinkLocalIpv6(source)) return linkWord;
    return isIpv4(source) ? ipv4Word : (source.w0 & this.#ipv6High) >>> 0;
  }

  low(source: Source): number {
    if (isUnixUser(source)) return source.uid ?? unknownUid;
    if (isLinkLocalIpv6(source)) return source.zone ?? 0;
    return (isIpv4(source) ? source.w3 & this.#ipv4 : source.w1 & this.#ipv6Low) >>> 0;
  }

  hostHigh(source: Source): number {
    return !isUnixUser(source) && isLinkLocalIpv6(source) ? source.w2 : 0;
  }

  hostLow(source: Source): number {
    return !isUnixUser(source) && isLinkLocalIpv6(source) ? source.w3 : 0;
  }

  keyOf(source: Source): SourceKey {
    return {
      high: this.high(source),
      low: this.low(source),
      hostHigh: this.hostHigh(source),
      hostLow: this.hostLow(source),
    };
  }

  /** `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/64`, `fe80::1%eth0`, `unix:1000`, or `unix` for an unknown user. */
  format({ high, low, hostHigh, hostLow }: SourceKey, nameOfZone: (zone: number) => string): string {
    const { ipv4, ipv6 } = this.#prefix;
    if (high === linkWord) {
      const host = formatIp({ w0: 0xfe800000, w1: 0, w2: hostHigh, w3: hostLow });
      if (low === 0) return host;
      const name = nameOfZone(low);
      return `${host}%${plainZone.test(name) ? name : low}`;
    }
    if (high === unixWord) return low === unknownUid ? 'unix' : `unix:${low}`;
    if (high !== ipv4Word) return `${formatIp({ w0: high, w1: low, w2: 0, w3: 0 })}/${ipv6}`;
    const address = formatIp({ w0: 0, w1: 0, w2: 0xffff, w3: low });
    return ipv4 === 32 ? address : `${address}/${ipv4}`;
  }
}

/** A word with the first `bits` bits set, 0 to 32. */
function maskOf(bits: number): number {
  return bits === 0 ? 0 : -1 << (32 - bits);
}
