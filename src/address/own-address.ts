/** All addresses of this machine. */
export const wildcard = { ipv4: '0.0.0.0', ipv6: '::' } as const;

/** The loopback addresses. */
export const loopback = { ipv4: '127.0.0.1', ipv6: '::1' } as const;

/**
 * Whether a name always means loopback, whatever a resolver says: localhost and its subdomains (RFC 6761 section 6.3).
 */
export function isLocalhost(name: string): boolean {
  return /^(.+\.)?localhost\.?$/i.test(name);
}
