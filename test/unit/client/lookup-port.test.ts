import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lookupPort } from '../../../src/client/lookup-port.ts';
import { lookupProtocol } from '../../../src/client/lookup-protocol.ts';
import { temporaryDirectory } from '../../support/daemon-process.ts';

function fileWith(text: string): string {
  const file = join(temporaryDirectory(), 'database');
  writeFileSync(file, text);
  return file;
}

const missing = '/nonexistent/database';

describe('lookupPort', () => {
  const services = 'telnet 23/tcp\nwww 80/tcp http # web\nalso 80/tcp\nsyslog 514/udp\nshell 514/tcp cmd\n';

  test.each([
    ['tcp', 'telnet', 'telnet', 23],
    ['tcp4', 'http', 'www', 80],
    ['tcp6', '80', 'www', 80],
    ['udp', '514', 'syslog', 514],
    ['tcp', '514', 'shell', 514],
    ['udp4', 'daytime', 'daytime', 13],
    ['udp6', '13', 'daytime', 13],
  ])('resolves %s %s to %s, port %d', async (transport, service, name, port) => {
    expect(await lookupPort(transport, service, fileWith(services))).toMatchObject({ transport, name, port });
  });

  test('returns the full entry', async () => {
    expect(await lookupPort('tcp6', 'http', fileWith(services))).toEqual({
      transport: 'tcp6',
      protocol: 'tcp',
      name: 'www',
      port: 80,
      aliases: ['http'],
    });
  });

  test.each([
    ['udp', 'telnet', 'service "telnet" for udp'],
    ['tcp', 'TELNET', 'service "TELNET" for tcp'],
    ['tcp', 'web', 'service "web" for tcp'],
    ['udp', '23', 'service on port 23 for udp'],
  ])('reports %s %s as not found', async (transport, service, what) => {
    const file = fileWith(services);
    await expect(lookupPort(transport, service, file)).rejects.toMatchObject({
      code: 'ENTRY_NOT_FOUND',
      exitCode: 2,
      message: `${file} has no ${what}`,
    });
  });

  test.each([
    ['sctp', 'telnet', '"sctp" is not a transport: expected one of tcp, tcp4, tcp6, udp, udp4, udp6'],
    ['tcp', '0', '"0" is not a port: expected 1 to 65535, or a name'],
    ['tcp', '65536', '"65536" is not a port: expected 1 to 65535, or a name'],
  ])('rejects %s %s', async (transport, service, message) => {
    const found = lookupPort(transport, service, fileWith(services));
    await expect(found).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', exitCode: 64, message });
  });

  test('knows the services of smallservd if the file is missing', async () => {
    expect(await lookupPort('udp', 'qotd', missing)).toMatchObject({ port: 17 });
    expect(await lookupPort('tcp', '37', missing)).toMatchObject({ name: 'time' });
  });
});

describe('lookupProtocol', () => {
  const protocols = 'ip 0 IP\nhopopt 0 HOPOPT\nicmp 1 ICMP # messages\nsctp 132 SCTP\n';

  test.each([
    ['icmp', 'icmp', 1],
    ['ICMP', 'icmp', 1],
    ['0', 'ip', 0],
    ['hopopt', 'hopopt', 0],
    ['132', 'sctp', 132],
    ['udp', 'udp', 17],
  ])('resolves %s to %s, number %d', async (protocol, name, number) => {
    expect(await lookupProtocol(protocol, fileWith(protocols))).toMatchObject({ name, number });
  });

  test.each(['Icmp', 'nothing', '255'])('reports %s as not found', async (protocol) => {
    const found = lookupProtocol(protocol, fileWith(protocols));
    await expect(found).rejects.toMatchObject({ code: 'ENTRY_NOT_FOUND', exitCode: 2 });
  });

  test('knows the common protocols if the file is missing', async () => {
    expect(await lookupProtocol('ipv6-icmp', missing)).toEqual({
      name: 'ipv6-icmp',
      number: 58,
      aliases: ['IPv6-ICMP'],
    });
    expect(await lookupProtocol('6', missing)).toMatchObject({ name: 'tcp' });
  });
});
