import { afterEach, describe, expect, it, vi } from 'vitest';
import { hasIpv6, serve } from '../support/daemon.ts';
import { TcpClient } from '../support/tcp.ts';
import { transportsOf } from '../support/transports.ts';
import { UdpClient } from '../support/udp.ts';
import { datagramCases, streamCases, type WireCase } from './cases.ts';

const transports = [
  ['tcp4', '127.0.0.1', streamCases],
  ['tcp6', '::1', streamCases],
  ['udp4', '127.0.0.1', datagramCases],
  ['udp6', '::1', datagramCases],
] as const;

afterEach(() => {
  vi.useRealTimers();
});

describe.each(transports)('%s', (transport, host, cases) => {
  it.each(cases)('$service: $rule', async (wireCase) => {
    if (host === '::1' && !hasIpv6) await expectSkipped(transport, wireCase);
    else await run(host, wireCase);
  });
});

function listenOf(service: string): readonly string[] {
  return transportsOf(service).map((transport) => `${transport}://localhost:0`);
}

async function run(
  host: string,
  { service, config = {}, now = '2026-11-22T11:07:12Z', talk }: WireCase,
): Promise<void> {
  // Only Date: limits are on the monotonic clock.
  if (now !== 'real') vi.setSystemTime(now);
  const daemon = await serve({
    [service]: { listen: listenOf(service), ...config },
    'echo-beside': { type: 'echo', listen: listenOf('echo') },
  });
  await talk({
    daemon,
    host,
    connect: (options) => TcpClient.connect(daemon.target(service, 'tcp', host), options),
    open: () => UdpClient.open(host),
    get udp() {
      return daemon.target(service, 'udp', host);
    },
    echoUdp: daemon.target('echo-beside', 'udp', host),
  });
}

/** On a machine without IPv6 a name is served over IPv4 alone, and an IPv6 address of its own cannot be opened. */
async function expectSkipped(transport: string, { service, config = {} }: WireCase): Promise<void> {
  const scheme = transport.slice(0, 3);
  const { listeners } = await serve({ [service]: { listen: [`${scheme}://localhost:0`], ...config } });
  expect(listeners.map(({ address }) => address)).toEqual(['127.0.0.1']);
  const written = serve({ [service]: { listen: [`${scheme}6://[::1]:0`], ...config } });
  await expect(written).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
}
