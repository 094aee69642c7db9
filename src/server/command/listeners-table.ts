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

/**
 * Formats from where the services can be reached, with one row for each scope. `notes`, by service, name further
 * restrictions, such as `only clients in allow`.
 */
export function formatExposure(
  listeners: readonly RunningListener[],
  notes: ReadonlyMap<string, readonly string[]>,
): string {
  const rows = reaches.flatMap((reach) => {
    const names = reachableFrom(reach, listeners, notes);
    return names.length === 0 ? [] : [[reach, names.join(', ')]];
  });
  return formatTable(['reachable from', 'services'], rows);
}

function reachableFrom(
  reach: Reach,
  listeners: readonly RunningListener[],
  notes: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const there = listeners.filter((each) => reachOf(each) === reach);
  return [...new Set(there.map(({ service }) => service))].map((service) => {
    const transports = new Set(there.filter((each) => each.service === service).map(({ transport }) => transport));
    const only = transports.size === 1 ? [...transports].map((transport) => transport.toUpperCase()) : [];
    const remarks = [...only, ...(notes.get(service) ?? [])];
    return remarks.length === 0 ? service : `${service} (${remarks.join(', ')})`;
  });
}
