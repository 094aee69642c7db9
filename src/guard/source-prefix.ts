import { formatIp, type IpAddress, isIpv4 } from '../address/ip-address.ts';
import type { SourcePrefix } from '../config/config.ts';

/** Stand for the family in the first word of a source. An IPv6 address that begins so is multicast, which is nobody's source. */
const ipv4Word = 0xffffffff;
const unixWord = 0xfffffffe;

/** What names a source among others: cheap to make for IPv4. */
export type SourceKey = number | string;

/**
 * The bits of an address that tell sources apart: who has a network to himself has as many addresses as he likes. A source is two 32-bit words;
 * `undefined` stands for all UNIX clients together.
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

  high(source: IpAddress | undefined): number {
    if (source === undefined) return unixWord;
    return isIpv4(source) ? ipv4Word : (source.w0 & this.#ipv6High) >>> 0;
  }

  low(source: IpAddress | undefined): number {
    if (source === undefined) return 0;
    return (isIpv4(source) ? source.w3 & this.#ipv4 : source.w1 & this.#ipv6Low) >>> 0;
  }

  /** `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/64` or `unix`. */
  format(key: SourceKey): string {
    const { ipv4, ipv6 } = this.#prefix;
    if (typeof key === 'number') {
      const address = formatIp({ w0: 0, w1: 0, w2: 0xffff, w3: key });
      return ipv4 === 32 ? address : `${address}/${ipv4}`;
    }
    const [w0 = 0, w1 = 0] = key.split(':').map(Number);
    return w0 === unixWord ? 'unix' : `${formatIp({ w0, w1, w2: 0, w3: 0 })}/${ipv6}`;
  }
}

/** The two words of a source as one. */
export function sourceKey(high: number, low: number): SourceKey {
  return high === ipv4Word ? low : `${high}:${low}`;
}

/** A word whose first `bits` are set, 0 to 32. */
function maskOf(bits: number): number {
  return bits === 0 ? 0 : -1 << (32 - bits);
}
