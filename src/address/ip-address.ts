/**
 * An IP address as four unsigned 32-bit words, most significant first. IPv4 addresses are stored IPv4-mapped
 * (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), so one comparison serves both families and dual-stack sockets need no
 * special case.
 */
export interface IpAddress {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  /**
   * The link of a link-local IPv6 peer, as an interface index (RFC 4007). On another link, the same address is another
   * host. Missing if it is unknown, and for all other addresses.
   */
  readonly zone?: number;
}

const colon = 0x3a;
const dot = 0x2e;
const zero = 0x30;
const letterA = 0x61;

// Shared by all calls: parsing is synchronous and happens for every datagram.
const groups = new Uint16Array(8);

/**
 * Parses an IP address: a dotted quad without leading zeros, or any text form of RFC 4291 section 2.2. The zone of an
 * IPv6 address (`fe80::1%eth0`, RFC 4007 section 11) is accepted and ignored. Returns undefined for anything else.
 */
export function parseIp(text: string): IpAddress | undefined {
  const quad = parseQuad(text, 0, text.length);
  return quad < 0 ? parseIpv6(text) : { w0: 0, w1: 0, w2: 0xffff, w3: quad };
}

/** Formats an address: a dotted quad for IPv4 (including `::ffff:a.b.c.d`), RFC 5952 for IPv6. */
export function formatIp(ip: IpAddress): string {
  if (isIpv4(ip)) return [ip.w3 >>> 24, (ip.w3 >>> 16) & 0xff, (ip.w3 >>> 8) & 0xff, ip.w3 & 0xff].join('.');
  const hex = [ip.w0, ip.w1, ip.w2, ip.w3].flatMap((word) => [
    (word >>> 16).toString(16),
    (word & 0xffff).toString(16),
  ]);
  const { start, length } = longestZeros(hex);
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** Like `formatIp`, but formats IPv4 as IPv4-mapped IPv6: `::ffff:a.b.c.d` (RFC 5952 section 5). */
export function formatIpv6(ip: IpAddress): string {
  return isIpv4(ip) ? `::ffff:${formatIp(ip)}` : formatIp(ip);
}

export function isIpv4(ip: IpAddress): boolean {
  return ip.w2 === 0xffff && ip.w1 === 0 && ip.w0 === 0;
}

/** 0.0.0.0 or `::`. */
export function isUnspecified(ip: IpAddress): boolean {
  return ip.w3 === 0 && ip.w0 === 0 && ip.w1 === 0 && (ip.w2 === 0 || ip.w2 === 0xffff);
}

/** 127.0.0.0/8 or `::1`. */
export function isLoopback(ip: IpAddress): boolean {
  if (isIpv4(ip)) return ip.w3 >>> 24 === 127;
  return ip.w3 === 1 && ip.w2 === 0 && ip.w1 === 0 && ip.w0 === 0;
}

/** 10/8, 172.16/12 and 192.168/16 (RFC 1918), shared space 100.64/10 (RFC 6598), or fc00::/7 (RFC 4193). */
export function isPrivate(ip: IpAddress): boolean {
  if (!isIpv4(ip)) return ip.w0 >>> 25 === 0xfc >>> 1;
  const { w3 } = ip;
  return w3 >>> 24 === 10 || w3 >>> 20 === 0xac1 || w3 >>> 16 === 0xc0a8 || w3 >>> 22 === 0x6440 >>> 6;
}

/** 169.254/16 (RFC 3927) or fe80::/10. */
export function isLinkLocal(ip: IpAddress): boolean {
  return isIpv4(ip) ? ip.w3 >>> 16 === 0xa9fe : isLinkLocalIpv6(ip);
}

/** fe80::/10. */
export function isLinkLocalIpv6(ip: IpAddress): boolean {
  return ip.w0 >>> 22 === 0xfe80 >>> 6;
}

/** 224/4 or ff00::/8. */
export function isMulticast(ip: IpAddress): boolean {
  return isIpv4(ip) ? ip.w3 >>> 28 === 0xe : ip.w0 >>> 24 === 0xff;
}

/** Class E (240/4, RFC 1112 section 4) except 255.255.255.255, which is `isBroadcast`. */
export function isReserved(ip: IpAddress): boolean {
  return isIpv4(ip) && ip.w3 >>> 28 === 0xf && ip.w3 !== 0xffffffff;
}

/** Only 255.255.255.255. Other broadcast addresses depend on the prefix of their network. */
export function isBroadcast(ip: IpAddress): boolean {
  return ip.w3 === 0xffffffff && isIpv4(ip);
}

/** Parses a dotted quad from `start` up to `end`. Returns its 32-bit value, or -1. */
function parseQuad(text: string, start: number, end: number): number {
  let word = 0;
  let octet = -1;
  let dots = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === dot) {
      if (octet < 0 || dots === 3) return -1;
      word = word * 256 + octet;
      octet = -1;
      dots++;
    } else {
      const digit = code - zero;
      // Digits after a leading 0: some parsers would read octal.
      if (digit < 0 || digit > 9 || octet === 0) return -1;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return -1;
    }
  }
  return dots === 3 && octet >= 0 ? word * 256 + octet : -1;
}

function parseIpv6(text: string): IpAddress | undefined {
  const zone = text.indexOf('%');
  if (zone >= 0 && zone === text.length - 1) return undefined;
  const end = zone < 0 ? text.length : zone;

  let count = 0;
  let gap = -1;
  let at = 0;
  if (end >= 2 && text.charCodeAt(0) === colon && text.charCodeAt(1) === colon) {
    gap = 0;
    at = 2;
  }
  while (at < end) {
    if (count === 8) return undefined;
    const start = at;
    let group = 0;
    for (let digit = hexDigit(text, at, end); digit >= 0; digit = hexDigit(text, at, end)) {
      group = group * 16 + digit;
      at++;
    }
    if (at < end && text.charCodeAt(at) === dot) {
      const quad = parseQuad(text, start, end);
      if (quad < 0 || count > 6) return undefined;
      groups[count++] = quad >>> 16;
      groups[count++] = quad & 0xffff;
      break;
    }
    if (at === start || at - start > 4) return undefined;
    groups[count++] = group;
    if (at === end) break;
    if (text.charCodeAt(at++) !== colon || at === end) return undefined;
    if (text.charCodeAt(at) === colon) {
      if (gap >= 0) return undefined;
      gap = count;
      at++;
    }
  }

  if (gap < 0) return count === 8 ? wordsOfGroups() : undefined;
  // `::` must stand for at least one group.
  if (count === 8) return undefined;
  groups.copyWithin(8 - (count - gap), gap, count);
  groups.fill(0, gap, gap + 8 - count);
  return wordsOfGroups();
}

function wordsOfGroups(): IpAddress {
  return { w0: wordOfGroups(0), w1: wordOfGroups(2), w2: wordOfGroups(4), w3: wordOfGroups(6) };
}

function wordOfGroups(first: number): number {
  return ((groups[first]! << 16) | groups[first + 1]!) >>> 0;
}

/** Returns -1 if there is no hexadecimal digit. */
function hexDigit(text: string, at: number, end: number): number {
  if (at >= end) return -1;
  const code = text.charCodeAt(at);
  if (code >= zero && code <= zero + 9) return code - zero;
  // Setting bit 0x20 converts a letter to lower case.
  const letter = (code | 0x20) - letterA;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

/** The longest run of zero groups, and the first among equals (RFC 5952 section 4.2.3). */
function longestZeros(hex: readonly string[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let length = 0;
  for (const [at, group] of hex.entries()) {
    length = group === '0' ? length + 1 : 0;
    if (length > longest.length) longest = { start: at - length + 1, length };
  }
  return longest;
}
