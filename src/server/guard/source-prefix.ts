import { formatIp, type IpAddress, isIpv4 } from '../../address/ip-address.ts';
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

/** (uid_t) -1, which no user has, see setuid(2). */
const unknownUid = 0xffffffff;

export function isUnixUser(source: Source): source is UnixUser {
  return 'uid' in source;
}

/**
 * Masks addresses to the bits that distinguish sources, because anyone with a network of their own has unlimited
 * addresses. A source is two 32-bit words.
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
    return isIpv4(source) ? ipv4Word : (source.w0 & this.#ipv6High) >>> 0;
  }

  low(source: Source): number {
    if (isUnixUser(source)) return source.uid ?? unknownUid;
    return (isIpv4(source) ? source.w3 & this.#ipv4 : source.w1 & this.#ipv6Low) >>> 0;
  }

  /** `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/64`, `unix:1000`, or `unix` for an unknown user. */
  format(high: number, low: number): string {
    const { ipv4, ipv6 } = this.#prefix;
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
