import { parseDatabase } from './system-database.ts';

/**
 * A line of protocols(5): what stands in the protocol field of an IPv4 header, and in the next header field of IPv6.
 */
export interface ProtocolEntry {
  readonly name: string;
  /** 0 to 255 in a packet; Linux gives higher ones to what only it tells apart (mptcp is 262). */
  readonly number: number;
  readonly aliases: readonly string[];
}

/** What every machine speaks is known without /etc/protocols. */
const ownEntries: readonly ProtocolEntry[] = [
  { name: 'ip', number: 0, aliases: ['IP'] },
  { name: 'icmp', number: 1, aliases: ['ICMP'] },
  { name: 'tcp', number: 6, aliases: ['TCP'] },
  { name: 'udp', number: 17, aliases: ['UDP'] },
  { name: 'ipv6', number: 41, aliases: ['IPv6'] },
  { name: 'ipv6-icmp', number: 58, aliases: ['IPv6-ICMP'] },
];

/** The entries of a protocols(5) file, our own after them; lines that make no sense are passed over. */
export function parseProtocolEntries(text: string): readonly ProtocolEntry[] {
  const entries = parseDatabase(text).flatMap(([name, target = '', ...aliases]): ProtocolEntry[] => {
    return /^\d{1,5}$/.test(target) ? [{ name, number: Number(target), aliases }] : [];
  });
  return [...entries, ...ownEntries];
}
