import { describe, expect, test } from 'vitest';
import { arrange } from '../../../../src/server/import/arrange.ts';
import { entry, inetd, notesOf, textOf, xinetd } from './importing.ts';

const tcp = (name: string, wait = 'nowait'): string => `${name} stream tcp4 ${wait} root internal\n`;
const udp = (name: string): string => `${name} dgram udp4 wait root internal\n`;

describe('the services of the printed config', () => {
  test('have TCP and UDP together if their settings are the same', () => {
    expect(arrange(inetd(tcp('echo') + udp('echo') + tcp('time', 'nowait/5') + udp('time'))).services).toMatchObject([
      { name: 'echo', listen: ['tcp4://*:7', 'udp4://*:7'], where: ['inetd.conf:1', 'inetd.conf:2'] },
      { name: 'time', listen: ['tcp4://*:37'], settings: { maxConnections: 5 } },
      { name: 'time-udp', type: 'time', listen: ['udp4://*:37'] },
    ]);
  });

  test('never share the limits of two entries', () => {
    const text =
      tcp('127.0.0.1:echo', 'nowait/5') + tcp('127.0.0.2:echo', 'nowait/5') + tcp('127.0.0.3:echo', 'nowait/5');
    expect(arrange(inetd(text)).services.map(({ name, listen }) => [name, ...listen])).toEqual([
      ['echo', 'tcp4://127.0.0.1:7'],
      ['echo-tcp', 'tcp4://127.0.0.2:7'],
      ['echo-2', 'tcp4://127.0.0.3:7'],
    ]);
  });

  test('have valid names, whatever their ids', async () => {
    const ids = ['Echo Two', '3', 'echo-2', 'echo-2', 'time'];
    const text = ids.map((id, index) =>
      entry('echo', `id = ${id.split(' ').join('_')}`, `bind = 127.0.0.${index + 1}`),
    );
    const { services } = arrange(await xinetd(`${text.join('')}${entry('time')}`));
    expect(services.map(({ name }) => name)).toEqual(['echo', 'echo-2', 'echo-3', 'echo-4', 'echo-5', 'time']);
  });
});

describe('a listen address is left out, with a note', () => {
  test.each([
    [tcp('echo') + tcp('127.0.0.1:echo'), '2: echo is not imported: an entry above listens on tcp4://127.0.0.1:7, too'],
    [
      tcp('a.example:echo') + tcp('A.example:echo'),
      '2: echo is not imported: an entry above listens on tcp4://A.example:7, too',
    ],
    [
      tcp('224.0.0.1:echo'),
      '1: echo is not imported: "tcp4://224.0.0.1:7" has a multicast or broadcast address: expected an address of this machine, or * for all',
    ],
    [tcp('::1:echo'), '1: echo is not imported: "tcp4://[::1]:7" is for IPv4 but has an IPv6 address'],
    [
      tcp('a@b:echo'),
      '1: echo is not imported: "tcp4://a@b:7" has host "a@b": expected a name, an address, or * for all',
    ],
  ])('if our config would refuse it: %j', (text, note) => {
    expect(notesOf(arrange(inetd(text)))).toEqual([note]);
  });

  test.each(['', '192.0.2.1:', 'a.example:'])('if strangers could abuse it over UDP: %jchargen', (host) => {
    const arranged = arrange(inetd(udp(`${host}chargen`)));
    expect(arranged.services).toEqual([]);
    const address = `udp4://${host === '' ? '*:' : host}19`;
    expect(notesOf(arranged)).toEqual([
      `1: chargen over UDP is not imported, because it sends up to 512 bytes to any forged source address: to serve it all the same, add ${address} to "listen" and set exposeUdp: true`,
    ]);
  });

  test('but not on addresses that strangers do not reach', () => {
    const { services } = arrange(inetd(udp('localhost,10.0.0.1:chargen')));
    expect(services).toMatchObject([{ listen: ['udp4://localhost:19', 'udp4://10.0.0.1:19'] }]);
  });
});

test('notes are in the order of the lines', () => {
  const text = `${udp('chargen')}ftp stream tcp nowait root /bin/ftpd\n${tcp('echo')}${tcp('echo')}x\n`;
  expect(notesOf(arrange(inetd(text))).map((note) => note.split(':', 1)[0])).toEqual(['1', '2', '4', '5']);
});

describe('the text', () => {
  test('is YAML with a comment for each entry and each note', async () => {
    const text = `${entry('echo', 'cps = 25 30', 'only_from = 10.0.0.0', 'id = a')}${entry('echo', 'id = b', 'bind = ::1')}service ftp\n{\nserver = /x\n}\n`;
    expect(textOf(await xinetd(text))).toBe(`# Imported from inetd.conf.
services:
  # x:1
  # x:6: cps = 25 30: over TCP, smallservd limits each source to this rate, not all together; it never pauses the service
  echo:
    listen: ["tcp://*:7"]
    allow: ["10.0.0.0/8"]
    connectionRate: { perSecond: 25, burst: 25 }
    datagramServiceRate: { perSecond: 25, burst: 25 }
    exempt: []

# Not imported:
# x:10: echo is not imported: an entry above listens on tcp://[::1]:7, too
# x:18: "ftp" runs a program, "/x"
`);
  });

  test('keeps what a file says in comments of one line', async () => {
    const nasty = `x\u001b[2J\u2028y\u0085z\ufeff\ud800`;
    const text = textOf(
      await xinetd(entry('echo', `nice = ${nasty}`, `${nasty} = 1`, `only_from = 10.0.0.1 ${nasty}`)),
    );
    expect(text.split('\n').filter((line) => !line.includes('#'))).toEqual([
      'services:',
      '  echo:',
      '    listen: ["tcp://*:7"]',
      '    allow: ["10.0.0.1/32"]',
      '',
    ]);
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\ufeff\ud800]/);
  });

  test('has at most a thousand notes', () => {
    const text = textOf(inetd(`${tcp('echo')}${'x stream tcp4 nowait root /bin/x\n'.repeat(1500)}`));
    expect(text.split('\n').slice(-3)).toEqual([
      '# inetd.conf:1001: "x" (tcp4) runs a program, "/bin/x"',
      '# and 500 more',
      '',
    ]);
  });

  test('that would be too large for a config is an error', async () => {
    const allow = Array.from({ length: 1000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`).join(' ');
    const entries = Array.from({ length: 100 }, (_, index) => entry('echo', `bind = 127.0.0.${index + 1}`)).join('');
    const imported = await xinetd(`defaults\n{\nonly_from = ${allow}\n}\n${entries}`);
    expect(() => textOf(imported)).toThrow('inetd.conf: the config would be larger than 1 MiB');
  });
});
