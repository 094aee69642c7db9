import { parseServiceEntries, type ServiceEntry } from '../address/service-ports.ts';
import { readDatabase } from '../address/system-database.ts';
import { SmallservdError } from '../errors.ts';

/** Networks for looking up a service. The single-family ones have the same ports as both. */
export const portNetworks = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] as const;

export interface PortAnswer extends ServiceEntry {
  readonly network: (typeof portNetworks)[number];
}

/**
 * Finds a service by name, alias or port, like getservbyname(3) and getservbyport(3): the first match in `file`. The
 * services of smallservd are also known without it. Throws `ARGUMENT_INVALID` and `ENTRY_NOT_FOUND`.
 */
export async function lookupPort(
  network: string,
  service: string,
  file: string = '/etc/services',
): Promise<PortAnswer> {
  const known = portNetworks.find((each) => each === network);
  if (known === undefined) {
    const expected = `expected one of ${portNetworks.join(', ')}`;
    throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(network)} is not a network: ${expected}`);
  }
  const port = parsePort(service);
  const protocol = known.startsWith('udp') ? 'udp' : 'tcp';
  const entry = parseServiceEntries(readDatabase(file)).find(
    (each) =>
      each.protocol === protocol &&
      (port === undefined ? [each.name, ...each.aliases].includes(service) : each.port === port),
  );
  if (entry !== undefined) return { network: known, ...entry };
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
