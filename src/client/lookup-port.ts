import { parseServiceEntries, type ServiceEntry } from '../address/service-ports.ts';
import { readDatabase } from '../address/system-database.ts';
import { SmallservdError } from '../errors.ts';

/** Transports of a service. A 4 or 6 at the end names one address family, which makes no difference to the port. */
export const portTransports = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] as const;

export interface PortAnswer extends ServiceEntry {
  readonly transport: (typeof portTransports)[number];
}

/**
 * Finds a service by name, alias or port, like getservbyname(3) and getservbyport(3): the first match in `file`. The
 * services of smallservd are also known without it. Throws `ARGUMENT_INVALID` and `ENTRY_NOT_FOUND`.
 */
export async function lookupPort(
  transport: string,
  service: string,
  file: string = '/etc/services',
): Promise<PortAnswer> {
  const known = portTransports.find((each) => each === transport);
  if (known === undefined) {
    const expected = `expected one of ${portTransports.join(', ')}`;
    throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(transport)} is not a transport: ${expected}`);
  }
  const port = parsePort(service);
  const protocol = known.startsWith('udp') ? 'udp' : 'tcp';
  const entry = parseServiceEntries(readDatabase(file)).find(
    (each) =>
      each.protocol === protocol &&
      (port === undefined ? [each.name, ...each.aliases].includes(service) : each.port === port),
  );
  if (entry !== undefined) return { transport: known, ...entry };
  const wanted = port === undefined ? `service ${JSON.stringify(service)}` : `service on port ${port}`;
  throw new SmallservdError('ENTRY_NOT_FOUND', `${file} has no ${wanted} for ${protocol}`);
}

/** Returns undefined for a name. */
function parsePort(service: string): number | undefined {
  if (!/^\d+$/.test(service)) return undefined;
  const port = Number(service);
  if (port >= 1 && port <= 65_535) return port;
  throw new SmallservdError(
    'ARGUMENT_INVALID',
    `${JSON.stringify(service)} is not a port: expected 1 to 65535, or a name`,
  );
}
