import { describe, expect, it } from 'vitest';
import type { ListenTarget } from '../../../../src/server/transport/listener.ts';
import { isFamilyMissing, openError } from '../../../../src/server/transport/open-error.ts';
import { serve } from '../../../support/daemon.ts';

const network = { transport: 'tcp', family: 'ipv4', address: '127.0.0.1', port: 7 } as const;

function failure(code: string): Error {
  return Object.assign(new Error(`listen ${code}`), { code });
}

describe('openError', () => {
  it.each<[string, string, ListenTarget, string, string]>([
    [
      'EADDRINUSE',
      'tcp://127.0.0.1:7',
      network,
      'LISTEN_IN_USE',
      'echo: cannot listen on tcp://127.0.0.1:7: the address is in use by another program',
    ],
    [
      'EADDRINUSE',
      'tcp://localhost:7',
      network,
      'LISTEN_IN_USE',
      'echo: cannot listen on tcp://localhost:7 (tcp://127.0.0.1:7): the address is in use by another program',
    ],
    [
      'EADDRINUSE',
      'unix:///run/echo',
      { transport: 'unix', path: '/run/echo' },
      'LISTEN_IN_USE',
      'echo: cannot listen on unix:///run/echo: the address is in use by another program',
    ],
    [
      'EADDRNOTAVAIL',
      'udp://[2001:db8::1]:7',
      { transport: 'udp', family: 'ipv6', address: '2001:db8::1', port: 7 },
      'LISTEN_NOT_AVAILABLE',
      'echo: cannot listen on udp://[2001:db8::1]:7: this machine does not have the address 2001:db8::1 (ip address shows those that it has)',
    ],
    [
      'EADDRNOTAVAIL',
      'tcp://192.0.2.1:7',
      { ...network, address: '192.0.2.1', freebind: false },
      'LISTEN_NOT_AVAILABLE',
      'echo: cannot listen on tcp://192.0.2.1:7: this machine does not have the address 192.0.2.1 (ip address shows those that it has). To listen before the address exists, set "freebind: true"',
    ],
    [
      'ENODEV',
      'udp://[fe80::1%eth9]:7',
      { transport: 'udp', family: 'ipv6', address: 'fe80::1%eth9', port: 7, freebind: false },
      'LISTEN_NOT_AVAILABLE',
      'echo: cannot listen on udp://[fe80::1%eth9]:7: this machine does not have that interface',
    ],
    [
      'EAFNOSUPPORT',
      'tcp6://[::1]:7',
      { ...network, family: 'ipv6', address: '::1' },
      'LISTEN_NOT_AVAILABLE',
      'echo: cannot listen on tcp6://[::1]:7 (tcp://[::1]:7): this machine has no IPv6',
    ],
    [
      'EACCES',
      'unix:///run/echo',
      { transport: 'unix', path: '/run/echo' },
      'LISTEN_NOT_PERMITTED',
      'echo: cannot listen on unix:///run/echo: not permitted',
    ],
    [
      'EPERM',
      'tcp://127.0.0.1:7007',
      { ...network, port: 7007 },
      'LISTEN_NOT_PERMITTED',
      'echo: cannot listen on tcp://127.0.0.1:7007: not permitted',
    ],
    [
      'EINVAL',
      'fd://3',
      { transport: 'tcp', fd: 3 },
      'LISTEN_FAILED',
      'echo: cannot listen on fd://3 (descriptor 3): invalid argument',
    ],
  ])('explains %s on %s', (code, text, target, expected, message) => {
    const cause = failure(code);
    const error = openError({ id: 0, service: 'echo', text, target, optional: false }, cause);
    expect(error).toMatchObject({ code: expected, message, cause });
  });

  it('exits with 77 and lists three fixes for a privileged port', () => {
    const planned = { id: 0, service: 'echo', text: 'tcp://127.0.0.1:7', target: network, optional: false };
    const error = openError(planned, failure('EACCES'));
    expect(error).toMatchObject({ code: 'LISTEN_NOT_PERMITTED', exitCode: 77 });
    const [first, ...ways] = error.message.split('\n');
    expect(first).toBe('echo: cannot listen on tcp://127.0.0.1:7: not permitted. A port below 1024 needs one of:');
    expect(ways).toEqual([
      expect.stringContaining('CAP_NET_BIND_SERVICE'),
      expect.stringContaining('net.ipv4.ip_unprivileged_port_start=0'),
      expect.stringContaining('starting as root'),
    ]);
  });
});

describe('isFamilyMissing', () => {
  it.each([
    ['EADDRNOTAVAIL', true],
    ['EAFNOSUPPORT', true],
    ['EADDRINUSE', false],
    ['EACCES', false],
  ])('%s: %s', (code, missing) => {
    expect(isFamilyMissing(failure(code))).toBe(missing);
  });
});

describe('a real listener that cannot open', () => {
  it.each(['tcp', 'udp'] as const)(
    '%s: names service, address and cause for a port in use and leaves nothing open',
    async (scheme) => {
      const first = await serve({ echo: { listen: [`${scheme}://127.0.0.1:0`] } });
      const { port } = first.target('echo', scheme);
      const spare = await serve({ time: { listen: [`${scheme}://127.0.0.1:0`] } });
      const sparePort = spare.target('time', scheme).port;
      await spare.close();
      const taken = `${scheme}://127.0.0.1:${port}`;
      const services = { time: { listen: [`${scheme}://127.0.0.1:${sparePort}`] }, daytime: { listen: [taken] } };
      await expect(serve(services)).rejects.toMatchObject({
        code: 'LISTEN_IN_USE',
        exitCode: 1,
        message: `daytime: cannot listen on ${taken}: the address is in use by another program`,
      });
      // What had been opened before it is free again.
      const again = await serve({ time: { listen: [`${scheme}://127.0.0.1:${sparePort}`] } });
      expect(again.target('time', scheme).port).toBe(sparePort);
    },
  );

  it('reports an address that this machine does not have', async () => {
    // RFC 5737: for documentation, never assigned to a machine.
    await expect(serve({ echo: { listen: ['tcp://203.0.113.77:0'] } })).rejects.toMatchObject({
      code: 'LISTEN_NOT_AVAILABLE',
    });
  });
});
