import { expect, test } from 'vitest';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { IcmpError } from '../../../../src/client/dial/icmp-error.ts';
import type { IcmpReport } from '../../../../src/kernel/error-queue.ts';

const report: IcmpReport = {
  errno: 111,
  version: 'icmp',
  type: 3,
  code: 3,
  mtu: 0,
  from: parseIp('192.0.2.9'),
  quoted: Buffer.from('hello'),
};

test.each([
  [{ code: 0 }, 'unreachable', 'network unreachable, says 192.0.2.9'],
  [{ code: 1 }, 'unreachable', 'host unreachable, says 192.0.2.9'],
  [{ code: 2 }, 'refused', 'refused by 192.0.2.9 (protocol unreachable)'],
  [{ code: 3 }, 'refused', 'refused by 192.0.2.9 (port unreachable)'],
  [{ code: 4, mtu: 1280 }, 'too-big', 'too big for the path, says 192.0.2.9: its MTU is 1280 bytes'],
  [{ code: 4, mtu: 0 }, 'too-big', 'too big for the path, says 192.0.2.9'],
  [{ code: 9 }, 'prohibited', 'prohibited by 192.0.2.9 (network prohibited)'],
  [{ code: 10 }, 'prohibited', 'prohibited by 192.0.2.9 (host prohibited)'],
  [{ code: 13 }, 'prohibited', 'prohibited by 192.0.2.9 (administratively prohibited)'],
  [{ code: 99 }, 'unreachable', 'destination unreachable, code 99, says 192.0.2.9'],
  [{ type: 11, code: 0 }, 'unreachable', 'time to live exceeded, says 192.0.2.9'],
  [{ type: 12, code: 0 }, 'unreachable', 'parameter problem, says 192.0.2.9'],
  [{ type: 42, code: 1 }, 'unreachable', 'ICMP type 42, code 1, says 192.0.2.9'],
  [{ from: undefined }, 'refused', 'refused by an unknown router (port unreachable)'],
] as const)('ICMP %j is %s', (differs, outcome, message) => {
  expect(new IcmpError({ ...report, ...differs })).toMatchObject({ outcome, message, code: 'ECONNREFUSED' });
});

test.each([
  [{ type: 1, code: 0 }, 'unreachable', 'no route, says 2001:db8::9'],
  [{ type: 1, code: 1 }, 'prohibited', 'prohibited by 2001:db8::9 (administratively prohibited)'],
  [{ type: 1, code: 3 }, 'unreachable', 'address unreachable, says 2001:db8::9'],
  [{ type: 1, code: 4 }, 'refused', 'refused by 2001:db8::9 (port unreachable)'],
  [{ type: 1, code: 5 }, 'prohibited', 'prohibited by 2001:db8::9 (source address failed policy)'],
  [{ type: 2, code: 0, mtu: 1280 }, 'too-big', 'too big for the path, says 2001:db8::9: its MTU is 1280 bytes'],
  [{ type: 3, code: 0 }, 'unreachable', 'time to live exceeded, says 2001:db8::9'],
  [{ type: 4, code: 1 }, 'unreachable', 'parameter problem, says 2001:db8::9'],
] as const)('ICMPv6 %j is %s', (differs, outcome, message) => {
  const from = parseIp('2001:db8::9');
  expect(new IcmpError({ ...report, version: 'icmp6', from, ...differs })).toMatchObject({ outcome, message });
});

test('tells which datagram it can be about', () => {
  const error = new IcmpError(report);
  expect(error.isAbout(Buffer.from('hello world'))).toBe(true);
  expect(error.isAbout(Buffer.from('hell'))).toBe(false);
  expect(error.isAbout(Buffer.from('world hello'))).toBe(false);
  // A router may quote no more than the header.
  expect(new IcmpError({ ...report, quoted: new Uint8Array(0) }).isAbout(Buffer.from('any'))).toBe(true);
});
