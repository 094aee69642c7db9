import { expect, it } from 'vitest';
import { DatagramIntake } from '../../../../src/server/guard/datagram-intake.ts';
import { flowBytes, ProxyFlows } from '../../../../src/server/guard/proxy-flows.ts';
import { SourceHash } from '../../../../src/server/guard/source-hash.ts';
import { cidr, ip, seededRandom } from './fixtures.ts';

it.each([
  ['192.0.2.7', true],
  ['224.0.0.1', false],
  // Inside, it stands for a UNIX user.
  ['ffff:fffe:0:4d2::', false],
])('the client %s of a known flow is taken from the memory that processes share: %s', (address, isTaken) => {
  const hash = SourceHash.random(seededRandom(1));
  const flows = new ProxyFlows(Infinity, { memory: new ArrayBuffer(flowBytes), offset: 0, hash, nowMs: () => 0 });
  const intake = new DatagramIntake({ from: [cidr('10.0.0.1')], timeoutMs: 1000 }, flows);
  const client = { ip: ip(address), port: 40_000 };
  flows.set({ ip: ip('10.0.0.1'), port: 50_000 }, client);
  const payload = Buffer.from('x');
  const request = intake.read(ip('10.0.0.1'), 50_000, payload);
  expect(request).toEqual(isTaken ? { client, payload, hasHeader: false } : undefined);
});
