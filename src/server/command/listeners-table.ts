import type { RunningListener } from '../running-daemon.ts';
import { formatHostPort } from '../../address/host-port.ts';
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
