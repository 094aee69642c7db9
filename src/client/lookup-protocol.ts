import { parseProtocolEntries, type ProtocolEntry } from '../address/protocol-numbers.ts';
import { readDatabase } from '../address/system-database.ts';
import { SmallservdError } from '../errors.ts';

/**
 * Finds a protocol by name, alias or number, like getprotobyname(3) and getprotobynumber(3): the first match in `file`.
 * ip, icmp, tcp, udp, ipv6 and ipv6-icmp are also known without it. Throws `ENTRY_NOT_FOUND`.
 */
export async function lookupProtocol(protocol: string, file: string = '/etc/protocols'): Promise<ProtocolEntry> {
  const number = /^\d+$/.test(protocol) ? Number(protocol) : undefined;
  const entry = parseProtocolEntries(readDatabase(file)).find((each) =>
    number === undefined ? [each.name, ...each.aliases].includes(protocol) : each.number === number,
  );
  if (entry !== undefined) return entry;
  throw new SmallservdError('ENTRY_NOT_FOUND', `${file} has no protocol ${JSON.stringify(protocol)}`);
}
