import { expect, it, onTestFinished, vi } from 'vitest';
import { serve } from '../../support/daemon.ts';
import { TcpClient } from '../../support/tcp.ts';
import { UdpClient } from '../../support/udp.ts';

it('a step of the wall clock by decades ends no client, starves nobody, and shows in the answers at once', async () => {
  const listen = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];
  const daemon = await serve({
    echo: { listen, exempt: [], idleTimeout: '1h', maxLifetime: '2h' },
    daytime: { listen, format: 'iso8601' },
    time: { listen },
  });
  onTestFinished(() => void vi.useRealTimers());
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  const datagrams = await UdpClient.open('127.0.0.1');
  for (const [turn, year] of ['2060', '2030', '2100', '2031'].entries()) {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date(`${year}-06-01T12:00:00Z`) });
    const daytime = await TcpClient.connect(daemon.target('daytime', 'tcp'));
    expect((await daytime.takeAll()).toString()).toMatch(new RegExp(`^${year}-06-01T`));
    daytime.finish();
    const word = await datagrams.ask('', daemon.target('time', 'udp'));
    const seconds = (Date.now() / 1000 + 2_208_988_800) % 2 ** 32;
    expect(Math.abs(word.readUInt32BE() - seconds)).toBeLessThan(60);
    // More than the burst would refill in no time, if the rates followed that clock.
    expect(String(await datagrams.ask(`turn ${turn}`, daemon.target('echo', 'udp')))).toBe(`turn ${turn}`);
    client.write('x');
    await client.take(turn + 1);
  }
  client.finish();
  await daemon.log.closing(client.name);
  expect(daemon.log.closed(client.name)).toMatchObject([{ reason: 'completed' }]);
});
