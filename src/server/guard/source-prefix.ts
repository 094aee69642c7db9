import { formatIp, type IpAddress, isIpv4 } from '../../address/ip-address.ts';
import type { SourcePrefix } from './limits.ts';

/** Whoever connects to a UNIX socket. */
export interface UnixUser {
  /** Undefined: the kernel does not tell. All such clients are one source. */
  readonly uid: number | undefined;
}

/** Where a client comes from. */
export type Source = IpAddress | UnixUser;

/**
 * Stand for the family in the first word of a source. An IPv6 address that begins so is multicast, which is nobody's
 * source.
 */
export const ipv4Word = 0xffffffff;
export const unixWord = 0xfffffffe;

/** The id that no user has: (uid_t) -1, see setuid(2). */
const unknownUid = 0xffffffff;

export function isUnixUser(source: Source): source is UnixUser {
  return 'uid' in source;
}

/**
 * The bits of an address that tell sources apart: who has a network to himself has as many addresses as he likes. A
 * source is two 32-bit words.
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

  /** `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/64`, `unix:1000`, or `unix` where the user is not known. */
  format(high: number, low: number): string {
    const { ipv4, ipv6 } = this.#prefix;
    if (high === unixWord) return low === unknownUid ? 'unix' : `unix:${low}`;
    if (high !== ipv4Word) return `${formatIp({ w0: high, w1: low, w2: 0, w3: 0 })}/${ipv6}`;
    const address = formatIp({ w0: 0, w1: 0, w2: 0xffff, w3: low });
    return ipv4 === 32 ? address : `${address}/${ipv4}`;
  }
}

/** A word whose first `bits` are set, 0 to 32. */
function maskOf(bits: number): number {
  return bits === 0 ? 0 : -1 << (32 - bits);
}
