import { parseDatabase } from './system-database.ts';

/** An entry of protocols(5): the value of the protocol field in IPv4 headers and of the next header field in IPv6. */
export interface ProtocolEntry {
  readonly name: string;
  /** 0 to 255 in packets. Linux uses higher numbers internally (mptcp is 262). */
  readonly number: number;
  readonly aliases: readonly string[];
}

/** Protocols known even without /etc/protocols. */
const ownEntries: readonly ProtocolEntry[] = [
  { name: 'ip', number: 0, aliases: ['IP'] },
  { name: 'icmp', number: 1, aliases: ['ICMP'] },
  { name: 'tcp', number: 6, aliases: ['TCP'] },
  { name: 'udp', number: 17, aliases: ['UDP'] },
  { name: 'ipv6', number: 41, aliases: ['IPv6'] },
  { name: 'ipv6-icmp', number: 58, aliases: ['IPv6-ICMP'] },
];

/** Parses a protocols(5) file and appends our own entries. Malformed lines are skipped. */
export function parseProtocolEntries(text: string): readonly ProtocolEntry[] {
  const entries = parseDatabase(text).flatMap(([name, target = '', ...aliases]): ProtocolEntry[] => {
    return /^\d{1,5}$/.test(target) ? [{ name, number: Number(target), aliases }] : [];
  });
  return [...entries, ...ownEntries];
}
