import type { RunningListener } from '../running-daemon.ts';
import { formatHostPort } from '../../address/host-port.ts';
import { type Reach, reaches, reachOf } from '../transport/reachability.ts';
import { formatTable } from './table.ts';

/** Formats the listeners: one row for each service, TCP and UDP side by side. */
export function formatListeners(listeners: readonly RunningListener[]): string {
  const services = [...new Set(listeners.map(({ service }) => service))];
  const rows = services.map((service) => {
    const own = listeners.filter((each) => each.service === service);
    const addresses = (wanted: readonly RunningListener['transport'][]): string =>
      own
        .filter(({ transport }) => wanted.includes(transport))
        .map(({ transport, address, port }) => (transport === 'unix' ? address : formatHostPort(address, port)))
        .join(' ');
    return [service, addresses(['tcp', 'unix']) || '–', addresses(['udp']) || '–'];
  });
  return formatTable(['service', 'TCP', 'UDP'], rows);
}

/** Settings that narrow a service's reach beyond its addresses. */
export interface Narrowing {
  readonly hasAllow: boolean;
  readonly hasProxies: boolean;
}

/** Formats from where the services can be reached, with one row for each scope. `narrowed` has the named services. */
export function formatExposure(
  listeners: readonly RunningListener[],
  narrowed: ReadonlyMap<string, Narrowing>,
): string {
  const rows = reaches.flatMap((reach) => {
    const names = reachableFrom(reach, listeners, narrowed);
    return names.length === 0 ? [] : [[reach, names.join(', ')]];
  });
  return formatTable(['reachable from', 'services'], rows);
}

function reachableFrom(
  reach: Reach,
  listeners: readonly RunningListener[],
  narrowed: ReadonlyMap<string, Narrowing>,
): readonly string[] {
  const there = listeners.filter((each) => reachOf(each) === reach);
  return [...new Set(there.map(({ service }) => service))].map((service) => {
    const transports = new Set(there.filter((each) => each.service === service).map(({ transport }) => transport));
    const isAlone = transports.size === 1;
    const { hasAllow = false, hasProxies = false } = narrowed.get(service) ?? {};
    const remarks = [
      ...(isAlone ? [...transports].map((transport) => transport.toUpperCase()) : []),
      ...(hasAllow ? ['only clients in allow'] : []),
      // Proxies are for TCP alone.
      ...(hasProxies && transports.has('tcp') ? [isAlone ? 'only through proxies' : 'TCP only through proxies'] : []),
    ];
    return remarks.length === 0 ? service : `${service} (${remarks.join(', ')})`;
  });
}
