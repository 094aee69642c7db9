import { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { AdminConnection } from '../../../../src/server/admin/connection.ts';
import { Turns } from '../../../../src/server/admin/turns.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

function sourceOf(address: string | undefined): string {
  const clock = new FakeClock();
  const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: address });
  const options = {
    clock,
    turns: new Turns<AdminConnection>(clock),
    inputTurns: new Turns<AdminConnection>(clock),
    streaming() {},
    heard() {},
    closed() {},
  };
  return new AdminConnection(socket, { ...options, answer: async () => Promise.reject(new Error('not asked')) }).source;
}

it.each([
  ['an IPv4 address, however it is written', '192.0.2.7', '::ffff:192.0.2.7'],
  ['an IPv6 /64', '2001:db8::1', '2001:db8::2'],
  ['all UNIX sockets', undefined, undefined],
])('has a source: %s', (_what, one, other) => {
  expect(sourceOf(one)).toBe(sourceOf(other));
});

it('has another source than its neighbors', () => {
  const addresses = ['192.0.2.7', '192.0.2.8', '2001:db8::1', '2001:db8:0:1::1', undefined];
  expect(new Set(addresses.map(sourceOf)).size).toBe(addresses.length);
});
