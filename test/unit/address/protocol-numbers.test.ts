import { expect, test } from 'vitest';
import { parseProtocolEntries } from '../../../src/address/protocol-numbers.ts';

const own = [
  ['ip', 0],
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['ipv6', 41],
  ['ipv6-icmp', 58],
];

test('falls back to the built-in protocols without a protocols file', () => {
  expect(parseProtocolEntries('').map(({ name, number }) => [name, number])).toEqual(own);
});

test('keeps the order of the file and skips malformed lines', () => {
  const text = `# Internet protocols
icmp\t1\tICMP\t\t# control messages
broken
worse x
worst 1000000
negative -1
hopopt 0 HOPOPT first#second
mptcp 262 MPTCP
#commented 5
`;
  expect(parseProtocolEntries(text).slice(0, -own.length)).toEqual([
    { name: 'icmp', number: 1, aliases: ['ICMP'] },
    { name: 'hopopt', number: 0, aliases: ['HOPOPT', 'first'] },
    { name: 'mptcp', number: 262, aliases: ['MPTCP'] },
  ]);
});
