import { describe, expect, test } from 'vitest';
import { inetd, notesOf } from './importing.ts';

/** The listen addresses of all services. */
function listenOf(text: string, dialect?: 'gnu' | 'freebsd' | 'openbsd'): readonly string[] {
  return inetd(text, dialect).services.flatMap(({ listen }) => listen);
}

describe('an internal service of inetd.conf', () => {
  test.each([
    ['echo stream tcp nowait root internal', 'tcp4://*:7'],
    ['discard\tdgram\tudp\twait\troot\tinternal', 'udp4://*:9'],
    ['chargen stream tcp4 nowait root internal', 'tcp4://*:19'],
    ['daytime stream tcp6 nowait root internal', 'tcp6://*:13'],
    ['time dgram udp46 wait nobody:nogroup internal', 'udp://*:37'],
    ['time stream tcp6only nowait nobody.nogroup internal', 'tcp6://*:37'],
    ['echo stream tcp nowait root internal echo -x', 'tcp4://*:7'],
    ['  echo stream tcp nowait root internal', 'tcp4://*:7'],
    ['echo stream tcp nowait root internal\r', 'tcp4://*:7'],
  ])('%j listens on %s', (line, listen) => {
    expect(listenOf(line)).toEqual([listen]);
  });

  test.each([
    ['gnu', ['tcp4://*:7', 'tcp4://*:9', 'tcp://*:13', 'tcp6://*:19']],
    ['freebsd', ['tcp4://*:7', 'tcp4://*:9', 'tcp6://*:13', 'tcp://*:37']],
    ['openbsd', ['tcp://*:7', 'tcp4://*:9', 'tcp6://*:13', 'tcp://*:37']],
    [undefined, ['tcp4://*:7', 'tcp4://*:9', 'tcp6://*:13', 'tcp6://*:19', 'tcp://*:37']],
  ] as const)('listens over the families that %s means', (dialect, expected) => {
    const lines = ['echo tcp', 'discard tcp4', 'daytime tcp6', 'chargen tcp6only', 'time tcp46'];
    const text = lines.map((line) => `${line.replace(' ', ' stream ')} nowait root internal\n`).join('');
    expect(listenOf(text, dialect)).toEqual(expected);
  });

  test('says once that the families depend on the dialect, unless that is given', () => {
    const text = 'echo stream tcp nowait root internal\ntime stream tcp nowait root internal\n';
    expect(notesOf(inetd(text))).toEqual([
      '1: inetds disagree on the address families of tcp, tcp6, udp and udp6: only those that each of them serves are imported. --dialect gnu, freebsd or openbsd imports what that one serves',
    ]);
    expect(notesOf(inetd(text, 'openbsd'))).toEqual([]);
    expect(notesOf(inetd('echo stream tcp4 nowait root internal'))).toEqual([]);
  });

  test('answers daytime in the format of inetd', () => {
    const { services } = inetd('daytime stream tcp nowait root internal\necho stream tcp nowait root internal');
    expect(services.map(({ settings }) => settings)).toEqual([{ format: 'ctime' }, {}]);
  });
});

describe('an address before the service', () => {
  test.each([
    ['127.0.0.1:echo', ['tcp4://127.0.0.1:7']],
    ['*:echo', ['tcp4://*:7']],
    ['10.0.0.1,localhost:echo', ['tcp4://10.0.0.1:7', 'tcp4://localhost:7']],
    ['[::1]:echo', ['tcp://[::1]:7']],
    ['::1:echo', ['tcp://[::1]:7']],
  ])('%s is where it listens', (name, listen) => {
    expect(listenOf(`${name} stream tcp nowait root internal`)).toEqual(listen);
  });

  test('holds for the entries below if it is on a line of its own', () => {
    const lines = ['echo', '127.0.0.1:', 'time', '10.0.0.1:discard', '*:', 'chargen'];
    const text = lines.map((line) => `${line}${line.endsWith(':') ? '' : ' stream tcp nowait root internal'}\n`);
    expect(listenOf(text.join(''))).toEqual(['tcp4://*:7', 'tcp4://127.0.0.1:37', 'tcp4://10.0.0.1:9', 'tcp4://*:19']);
  });

  test.each([':echo', '10.0.0.1,:echo', ',:echo'])('that is missing in %s never means every interface', (name) => {
    expect(listenOf(`${name} stream tcp nowait root internal`)).not.toContain('tcp4://*:7');
  });
});

describe('the limits of FreeBSD', () => {
  test.each([
    ['nowait/10', { maxConnections: 10 }],
    ['nowait/10/0/5', { maxConnections: 10, maxConnectionsPerSource: 5, exempt: [] }],
    ['nowait/0/0/5', { maxConnectionsPerSource: 5, exempt: [] }],
    ['nowait/0', {}],
  ])('%s becomes %j', (wait, settings) => {
    const { services } = inetd(`echo stream tcp4 ${wait} root internal`);
    expect(services).toMatchObject([{ settings, notes: [] }]);
    expect(services[0]?.settings).toEqual(settings);
  });

  test.each(['nowait.40', 'wait.40', 'nowait/0/60'])('%s is a limit for a minute, which is noted', (wait) => {
    const { services } = inetd(`echo stream tcp4 ${wait} root internal`);
    expect(services[0]?.notes.map(({ message }) => message)).toEqual([
      `"${wait}": smallservd has no limit for a minute; see connectionRate and datagramServiceRate`,
    ]);
  });
});

describe('an indented line', () => {
  const text = 'echo stream tcp4 nowait root internal\n\tdiscard stream tcp4 nowait root internal\n';

  test('continues the entry above it in BSD', () => {
    expect(
      listenOf('echo stream tcp4 nowait root\n\tinternal\n# comment\n time stream tcp4 nowait root\n  internal'),
    ).toEqual(['tcp4://*:7', 'tcp4://*:37']);
    expect(listenOf(text, 'openbsd')).toEqual(['tcp4://*:7']);
  });

  test('is noted if it looks like an entry, which it is in GNU inetd', () => {
    expect(notesOf(inetd(text))).toEqual([
      '2: this line is indented, so it continues the entry above it, except in GNU inetd',
    ]);
    expect(listenOf(text, 'gnu')).toEqual(['tcp4://*:7', 'tcp4://*:9']);
  });
});

describe('what is not imported from inetd.conf', () => {
  test.each([
    ['ftp stream tcp nowait root /usr/sbin/tcpd in.ftpd', '"ftp" (tcp) runs a program, "/usr/sbin/tcpd"'],
    [
      'qotd stream tcp nowait nobody /usr/games/fortune fortune',
      '"qotd" (tcp) runs a program, "/usr/games/fortune"; smallservd has its own service qotd; configure it by hand',
    ],
    ['rstatd/1-3 dgram rpc/udp wait root internal', '"rstatd/1-3" (rpc/udp) is an RPC service'],
    ['tcpmux/+date stream tcp nowait guest /bin/date date', '"tcpmux/+date" (tcp) is a program started by tcpmux'],
    ['/run/x stream unix nowait root /bin/x x', '"/run/x" (unix) runs a program, "/bin/x"'],
    ['auth stream tcp nowait root internal auth -r', '"auth" (tcp) is an internal service that is not imported'],
    ['sink stream tcp nowait root internal', '"sink" (tcp) is an internal service that is not imported'],
    [
      '7 stream tcp nowait root internal',
      '"7" (tcp) is not served: inetds know their internal services by name, not by port',
    ],
    ['echo stream tcp nowait root', '"echo" (tcp): expected at least six fields, found 5'],
    ['echo stream udp nowait root internal', '"echo" (udp): "udp" has no sockets of type "stream"'],
    ['echo raw tcp nowait root internal', '"echo" (tcp): "tcp" has no sockets of type "raw"'],
    ['echo stream sctp nowait root internal', '"echo" (sctp): unknown protocol "sctp"'],
    ['echo stream tcpconstructor nowait root internal', '"echo" (tcpconstructor): unknown protocol "tcpconstructor"'],
    ['echo stream tcp later root internal', '"echo" (tcp): expected wait or nowait, found "later"'],
    ['#<off># echo stream tcp nowait root internal', '"echo" (tcp) is disabled'],
    [
      '#@ in ipsec esp/transport//require\necho stream tcp nowait root internal',
      '"echo" (tcp) is served under an IPsec policy',
    ],
  ])('%j is noted', (line, message) => {
    const imported = inetd(line);
    expect(imported.services).toEqual([]);
    expect(imported.notes.map((note) => note.message)).toEqual([message]);
  });

  test('comments are not', () => {
    expect(inetd('# echo stream tcp nowait root internal\n#:INTERNAL: x\n\n#<off># words\n')).toEqual({
      services: [],
      notes: [],
    });
  });

  test('services that TCP wrappers may restrict are noted: those of FreeBSD', () => {
    const text = 'echo stream tcp4 nowait root internal';
    for (const dialect of [undefined, 'freebsd'] as const)
      expect(notesOf(inetd(text, dialect, true))).toEqual([
        '1: "echo" (tcp4) is also restricted by /etc/hosts.allow and /etc/hosts.deny, which are not imported; --ignore-wrappers imports it without them',
      ]);
    for (const dialect of ['gnu', 'openbsd'] as const) expect(inetd(text, dialect, true).services).toHaveLength(1);
  });

  test('an IPsec policy ends where the next one is empty', () => {
    expect(listenOf('#@ in ipsec x\n#@\necho stream tcp4 nowait root internal')).toEqual(['tcp4://*:7']);
  });

  test('buffer sizes are noted, and the service is imported', () => {
    const { services } = inetd('echo stream tcp4,rcvbuf=64k nowait root internal');
    expect(services).toMatchObject([
      {
        listen: ['tcp4://*:7'],
        notes: [{ message: '"tcp4,rcvbuf=64k": buffer sizes are not imported; see receiveBuffer' }],
      },
    ]);
  });
});

function hosts(count: number): string {
  return Array.from({ length: count }, (_, index) => `127.0.0.${index}`).join();
}

describe('the number of addresses of inetd.conf', () => {
  const entry = 'echo stream tcp nowait root internal\n';

  test('is bounded for an entry', () => {
    expect(listenOf(`${hosts(100)}:\n${entry}`)).toHaveLength(100);
    expect(() => listenOf(`${hosts(101)}:\n${entry}`)).toThrow(/:1: expected at most 100 addresses$/);
  });

  test('is bounded for all of them', () => {
    expect(listenOf(entry.repeat(2000))).toHaveLength(2000);
    expect(() => listenOf(entry.repeat(2001))).toThrow(/:2001: expected at most 2000 addresses in all$/);
  });
});
