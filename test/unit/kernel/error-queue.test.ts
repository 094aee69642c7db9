import { closeSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { formatIp, parseIp } from '../../../src/address/ip-address.ts';
import { errorQueue } from '../../../src/kernel/error-queue.ts';
import { connectUdp, queueErrors } from '../../../src/kernel/outgoing-sockets.ts';
import { streams } from '../../../src/kernel/streams.ts';
import { hasIpv6 } from '../../support/daemon.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/wait.ts';

async function connected(address: string): Promise<number> {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(address);
  const descriptor = connectUdp({ family, ip, port: await freePort(), interfaceIndex: 0 }, 65_536);
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

test.each([
  ['127.0.0.1', { version: 'icmp', type: 3, code: 3 }],
  ...(hasIpv6 ? ([['::1', { version: 'icmp6', type: 1, code: 4 }]] as const) : []),
] as const)('tells of a closed port at %s, and who says so', async (address, message) => {
  const descriptor = await connected(address);
  expect(errorQueue().take(descriptor)).toBeUndefined();
  const payload = Buffer.alloc(100, 'some payload ');
  expect(streams().send(descriptor, payload, false)).toBe(100);
  let report = errorQueue().take(descriptor);
  await until(() => (report ??= errorQueue().take(descriptor)) !== undefined, 'the ICMP error');
  if (report === undefined || report.version === 'local') throw new Error('the queue has an error of our own');
  expect(report).toMatchObject({ errno: 111, ...message });
  expect(formatIp(report.from ?? { w0: 0, w1: 0, w2: 0, w3: 0 })).toBe(address);
  expect(Buffer.from(report.quoted).toString()).toBe(payload.toString('utf8', 0, 64));
  expect(errorQueue().take(descriptor)).toBeUndefined();
});

test("tells this machine's own errors from those of others", async () => {
  const descriptor = await connected('127.0.0.1');
  expect(streams().send(descriptor, Buffer.alloc(65_508), false)).toBeLessThan(0);
  expect(errorQueue().take(descriptor)).toMatchObject({ version: 'local', errno: 90 });
});

test('is empty if nobody wants it', async () => {
  const descriptor = await connected('127.0.0.1');
  queueErrors(descriptor, 'ipv4', false);
  streams().send(descriptor, Buffer.from('x'), false);
  expect(errorQueue().take(descriptor)).toBeUndefined();
});
