import { isLoopback, parseIp } from '../../address/ip-address.ts';
import { isLocalhost } from '../../address/own-address.ts';
import { SmallservdError } from '../../errors.ts';

/** Where the shipped config of smallservd listens, since the ports of the RFCs need privileges. */
export const shippedPorts: Readonly<Record<string, number>> = {
  daytime: 1200,
  echo: 1201,
  discard: 1209,
  systat: 1211,
  qotd: 1217,
  chargen: 1219,
  time: 1237,
  stamp: 2062,
};

/** What to try if nothing listens on the usual port of a service on this machine. Undefined after other errors. */
export function shippedPortHint(service: string, host: unknown, error: unknown): string | undefined {
  const port = shippedPorts[service];
  if (port === undefined || typeof host !== 'string' || !isOwn(host) || !isRefusal(error)) return undefined;
  const name = host.includes(':') ? `[${host}]` : host;
  return `the shipped config of smallservd has ${service} on port ${port}: smallserv ${service} ${name}:${port}`;
}

/** Not if the host has a port. */
function isOwn(host: string): boolean {
  const ip = parseIp(host);
  return ip === undefined ? isLocalhost(host) : isLoopback(ip);
}

function isRefusal(error: unknown): boolean {
  return error instanceof SmallservdError && error.code === 'CONNECT_FAILED' && error.outcome === 'refused';
}
