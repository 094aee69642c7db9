import { describe, expect, test } from 'vitest';
import { type ConformOptions, conform } from '../../../src/client/conform.ts';
import { allChecks } from '../../../src/client/conformance/index.ts';
import { checkedServices } from '../../../src/client/conformance/check.ts';
import { hasIpv6, serve } from '../../support/daemon.ts';
import { fakeTcpServer } from '../../support/fake-servers.ts';
import { freePort } from '../../support/ports.ts';
import { transportsOf } from '../../support/transports.ts';

/** A port for each service, the same over both transports. */
async function freePorts(): Promise<Record<string, number>> {
  const ports: Record<string, number> = {};
  for (const service of checkedServices) ports[service] = await freePort();
  return ports;
}

describe('conform against smallservd', () => {
  test.each(hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'])(
    'passes every check at %s, with no service unreachable',
    async (host) => {
      const ports = await freePorts();
      const address = host.includes(':') ? `[${host}]` : host;
      const services = Object.entries(ports).map(([service, port]) => [
        service,
        {
          listen: transportsOf(service).map((transport) => `${transport}://${address}:${port}`),
          ...(service === 'tcpmux' && { services: ['echo'] }),
        },
      ]);
      await serve(Object.fromEntries(services));
      const { checks, counts } = await conform(host, { ports, quietMs: 100 });
      // Who is not root has no low ports, and other programs may have some of them.
      const excused = /^cannot send from any of the ports .*: (?:in use|not permitted)/;
      expect(
        checks.filter(
          ({ outcome, detail }) => outcome !== 'passed' && !(outcome === 'skipped' && excused.test(detail)),
        ),
      ).toEqual([]);
      expect(checks.map(({ id }) => id)).toEqual(allChecks.map(({ id }) => id));
      expect(counts).toMatchObject({ failed: 0, unreachable: 0 });
      expect(counts.passed + counts.skipped).toBe(allChecks.length);
    },
  );
});

/** The services that are checked with these options. None is there. */
async function servicesOf(options: ConformOptions): Promise<ReadonlySet<string>> {
  const basePort = (await freePort()) - 37;
  const { checks } = await conform('127.0.0.1', { transport: 'tcp', basePort, ...options });
  return new Set(checks.map(({ service }) => service));
}

describe('check selection', () => {
  test('limits checks to the given services and transport', async () => {
    const { checks } = await conform('127.0.0.1', {
      services: ['time', 'echo'],
      transport: 'tcp',
      ports: { time: await freePort(), echo: await freePort() },
    });
    expect([...new Set(checks.map(({ service, transport }) => `${service}.${transport}`))]).toEqual([
      'echo.tcp',
      'time.tcp',
    ]);
    expect(checks.every(({ outcome }) => outcome === 'unreachable')).toBe(true);
  });

  test('checks tcpmux, finger, ident and stamp only if they are named', async () => {
    const usual = ['echo', 'discard', 'systat', 'daytime', 'qotd', 'chargen', 'time'];
    expect([...(await servicesOf({}))]).toEqual(usual);
    expect([...(await servicesOf({ ports: { finger: await freePort() } }))]).toEqual([...usual, 'finger']);
    expect([...(await servicesOf({ services: ['ident', 'tcpmux'] }))]).toEqual(['tcpmux', 'ident']);
  });

  test('derives ports from basePort unless one is given', async () => {
    const { port } = await fakeTcpServer((socket) => void socket.resume().end('abcd'));
    const { checks, counts } = await conform('127.0.0.1', {
      services: ['time', 'systat'],
      transport: 'tcp',
      basePort: port - 37,
      ports: { systat: await freePort() },
    });
    const isReached = checks.map(({ service, outcome }) => (service === 'time') === (outcome !== 'unreachable'));
    expect(isReached.every(Boolean)).toBe(true);
    expect(counts.unreachable).toBe(checks.filter(({ service }) => service === 'systat').length);
  });

  test.each([
    [{ services: ['telnet'] }, '"telnet" is not a service to check: expected tcpmux, echo, discard, '],
    [{ ports: { telnet: 23 } }, '"telnet" is not a service to check'],
    [{ basePort: 65_500 }, '--base-port 65500 puts time on port 65537: expected 1 to 65535'],
    [{ quietMs: NaN }, 'the quiet period in milliseconds is NaN: expected 1 to '],
    [{ ports: { echo: 0 } }, 'echo has port 0: expected 1 to 65535'],
  ])('rejects %j', async (options, message) => {
    const error = await conform('127.0.0.1', options).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'ARGUMENT_INVALID', message: expect.stringContaining(message) });
  });

  test.each(['localhost:7', '[::1]:7', '', '-4', 'a b'])('rejects host %j', async (host) => {
    const error = await conform(host).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'ARGUMENT_INVALID', message: expect.stringContaining('is not a host') });
  });
});
