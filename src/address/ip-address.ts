/**
 * An IP address as four unsigned 32-bit words, most significant first. An IPv4 address is held as its IPv4-mapped IPv6 address
 * (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), so one comparison serves both families and a dual-stack socket needs no special case.
 */
export interface IpAddress {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}
