import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, it, onTestFinished, vi } from 'vitest';
import { systemClock } from '../../../../src/clock/clock.ts';
import { ReflectorModeProbe } from '../../../../src/client/stamp/reflector-mode.ts';

it.each([
  ['stateful', 0],
  ['stateless', 1],
])('is found out although nothing comes back to the first port: %s', async (mode, number) => {
  let requests = 0;
  const ports = new Set<number>();
  const server = createSocket('udp4', (request, from) => {
    ports.add(from.port);
    requests += 1;
    if (requests === 1) return;
    const packet = Buffer.alloc(44);
    packet.writeUInt32BE(number);
    request.copy(packet, 24, 0, 14);
    server.send(packet, from.port, from.address);
  }).bind(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address();
  const settings = { clock: systemClock, session: 7 };
  const probe = await ReflectorModeProbe.start({ address: '127.0.0.1', family: 'ipv4' }, port, settings);
  try {
    await vi.waitFor(() => expect(probe.mode).toBe(mode), { timeout: 30_000 });
  } finally {
    probe.close();
  }
  expect(ports.size).toBe(requests);
});
