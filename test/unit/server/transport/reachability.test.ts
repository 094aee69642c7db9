import { expect, it } from 'vitest';
import { reachOf } from '../../../../src/server/transport/reachability.ts';

it.each([
  ['127.0.0.1', 'this machine'],
  ['127.9.9.9', 'this machine'],
  ['::1', 'this machine'],
  ['169.254.1.1', 'local links'],
  ['fe80::1%eth0', 'local links'],
  ['10.1.2.3', 'private networks'],
  ['192.168.1.1', 'private networks'],
  ['fd00::1', 'private networks'],
  ['0.0.0.0', 'anywhere'],
  ['::', 'anywhere'],
  ['192.0.2.1', 'anywhere'],
  ['2001:db8::1', 'anywhere'],
])('%s can be reached from %s', (address, reach) => {
  expect(reachOf({ transport: 'tcp', address, port: 7 })).toBe(reach);
  expect(reachOf({ transport: 'udp', address, port: 7 })).toBe(reach);
});

it('a UNIX socket can be reached from this machine', () => {
  expect(reachOf({ transport: 'unix', address: '/run/echo.sock', port: 0 })).toBe('this machine');
});
