import { parseServiceEntries, type ServiceEntry } from '../address/service-ports.ts';
import { readDatabase } from '../address/system-database.ts';
import { SmallservdError } from '../errors.ts';

/** Networks that a service can be looked up for; those of one family have the ports of both. */
export const portNetworks = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] as const;

export interface PortAnswer extends ServiceEntry {
  readonly network: (typeof portNetworks)[number];
}

/**
 * The entry of a service by its name, an alias, or its port, as getservbyname(3) and getservbyport(3) find it: the
 * first in `file`. The services of smallservd are known without it. Throws `ARGUMENT_INVALID` and `ENTRY_NOT_FOUND`.
 */
export async function lookupPort(
  network: string,
  service: string,
  file: string = '/etc/services',
): Promise<PortAnswer> {
  const known = portNetworks.find((each) => each === network);
  if (known === undefined) {
    const expected = `expected one of ${portNetworks.join(', ')}`;
    throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(network)} is no network: ${expected}`);
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

/** Undefined: a name. */
function parsePort(service: string): number | undefined {
  if (!/^\d+$/.test(service)) return undefined;
  const port = Number(service);
  if (port >= 1 && port <= 65_535) return port;
  throw new SmallservdError(
    'ARGUMENT_INVALID',
    `${JSON.stringify(service)} is no port: expected 1 to 65535, or a name`,
  );
}
