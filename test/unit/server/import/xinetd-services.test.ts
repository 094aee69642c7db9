import { describe, expect, test } from 'vitest';
import { entry, notesOf, xinetd } from './importing.ts';

function defaults(...lines: readonly string[]): string {
  return `defaults\n{\n${lines.join('\n')}\n}\n`;
}

async function serviceOf(text: string) {
  const imported = await xinetd(text);
  expect(notesOf(imported)).toEqual([]);
  expect(imported.services).toHaveLength(1);
  return imported.services[0]!;
}

async function settingsOf(text: string) {
  return (await serviceOf(text)).settings;
}

/** Why a text with one entry has no service. */
async function reasonFor(text: string, refuseClients = false): Promise<string> {
  const { services, notes } = await xinetd(text, {}, refuseClients);
  expect(services).toEqual([]);
  expect(notes).toHaveLength(1);
  return notes[0]!.message;
}

describe('an internal service of xinetd.conf', () => {
  test.each([
    [['socket_type = stream'], 'tcp://*:7'],
    [['socket_type = dgram', 'protocol = udp'], 'udp://*:7'],
    [['flags = IPv4'], 'tcp4://*:7'],
    [['flags = REUSE IPv6'], 'tcp://*:7'],
    [['flags = IPv4 IPv6'], 'tcp://*:7'],
    [['v6only = no'], 'tcp6://*:7'],
    [['bind = 10.0.0.1'], 'tcp://10.0.0.1:7'],
    [['interface = fd00::1'], 'tcp://[fd00::1]:7'],
    [['bind = 0.0.0.0'], 'tcp4://*:7'],
    [['bind = ::'], 'tcp://*:7'],
    [['bind = localhost'], 'tcp://localhost:7'],
    [['port = 7'], 'tcp://*:7'],
    [['port\t=7'], 'tcp://*:7'],
    [['type = INTERNAL UNLISTED', 'port = 7007'], 'tcp://*:7007'],
  ])('with %j listens on %s', async (attributes, listen) => {
    const text = entry('echo', ...attributes).replace(/type = INTERNAL\n(?=[^]*type = INTERNAL)/, '');
    expect((await serviceOf(text)).listen).toEqual([listen]);
  });

  test('needs only the protocol to be TCP', async () => {
    const text = 'service time\n{\n  type = INTERNAL\n  protocol = tcp\n  wait = no\n}\n';
    expect((await serviceOf(text)).listen).toEqual(['tcp://*:37']);
  });

  test('answers daytime in the nearest format, which is noted', async () => {
    const { services } = await xinetd(entry('daytime'));
    expect(services).toMatchObject([
      {
        settings: { format: 'smtp' },
        notes: [{ message: 'daytime: xinetd writes the year with four digits, smallservd with two' }],
      },
    ]);
  });
});

describe('limits', () => {
  test.each([
    [['instances = 10'], { maxConnections: 10 }],
    [['per_source = 5'], { maxConnectionsPerSource: 5, exempt: [] }],
    [['cps = 0 10'], {}],
  ])('%j become %j', async (attributes, settings) => {
    expect(await settingsOf(entry('echo', ...attributes))).toEqual(settings);
  });

  test('a rate holds for each source over TCP, and for the service over UDP', async () => {
    const rate = { perSecond: 25, burst: 25 };
    const { services } = await xinetd(entry('echo', 'cps = 25 30'));
    expect(services).toMatchObject([{ settings: { connectionRate: rate, datagramServiceRate: rate, exempt: [] } }]);
    expect(services[0]?.notes.map(({ message }) => message)).toEqual([
      'cps = 25 30: over TCP, smallservd limits each source to this rate, not all together; it never pauses the service',
    ]);
  });

  test('that are unlimited keep ours, which is noted', async () => {
    const { services } = await xinetd(entry('echo', 'instances = UNLIMITED', 'per_source = UNLIMITED'));
    expect(services[0]?.settings).toEqual({});
    expect(services[0]?.notes.map(({ message }) => message)).toEqual([
      'instances = UNLIMITED: smallservd always has a limit; see maxConnections',
      'per_source = UNLIMITED: smallservd always has a limit; see maxConnectionsPerSource',
    ]);
  });
});

describe('only_from and no_access', () => {
  test.each([
    ['10.0.0.1', ['10.0.0.1/32']],
    ['10.1.2.0', ['10.1.2.0/24']],
    ['10.0.2.0', ['10.0.2.0/24']],
    ['10.0.0.0', ['10.0.0.0/8']],
    ['0.0.0.0', ['0.0.0.0/0']],
    ['10.0.0.{1,2}', ['10.0.0.1/32', '10.0.0.2/32']],
    ['10.0.0.{0,1}', ['10.0.0.0/32', '10.0.0.1/32']],
    ['10.0.{1,20}', ['10.0.1.0/24', '10.0.20.0/24']],
    ['{10,172}', ['10.0.0.0/8', '172.0.0.0/8']],
    ['10.1.2.3/8', ['10.0.0.0/8']],
    ['10.1.2.3/32', ['10.1.2.3/32']],
    ['0.0.0.0/0', ['0.0.0.0/0']],
    ['fd00::1', ['fd00::1/128']],
    ['fd00::1/8', ['fd00::/8']],
    ['::1', ['::1/128']],
  ])('%s allows and denies %j', async (address, expected) => {
    expect(await settingsOf(entry('echo', `only_from = ${address}`))).toEqual({ allow: expected });
    expect(await settingsOf(entry('echo', `no_access = ${address}`))).toEqual({ deny: expected });
  });

  test('an IPv6 network that contains all IPv4 addresses, to xinetd, denies those, too', async () => {
    expect(await settingsOf(entry('echo', 'no_access = ::/0'))).toEqual({ deny: ['::/0', '0.0.0.0/0'] });
    expect(await settingsOf(entry('echo', 'only_from = ::/0'))).toEqual({ allow: ['::/0'] });
  });

  const unknown = [
    'host.example',
    '.example',
    '10.0.0.0/255.0.0.0',
    '10.0.0.0/33',
    '10.1',
    '010.0.0.1',
    '10.0.0.{1,256}',
    '10.0.0.{1-9}',
    '10.0.0.{1}.2',
    '::',
    '::ffff:10.0.0.1',
    '::ffff:0:0/96',
    'fe80::1%eth0',
    'fd00::/129',
  ];

  test.each(unknown)('%s leaves the service out', async (address) => {
    expect(await reasonFor(entry('echo', `only_from = ${address}`))).toBe(
      `"echo" serves only "${address}" (only_from), which is not an address or network for smallservd`,
    );
    expect(await reasonFor(entry('echo', `no_access = 10.0.0.1 ${address}`))).toBe(
      `"echo" refuses "${address}" (no_access), which is not an address or network for smallservd`,
    );
  });

  test('of several addresses, those that are known are allowed, and the others are noted', async () => {
    const { services } = await xinetd(entry('echo', 'only_from = host.example 10.0.0.1'));
    expect(services[0]?.settings).toEqual({ allow: ['10.0.0.1/32'] });
    expect(services[0]?.notes.map(({ message }) => message)).toEqual([
      'only_from: "host.example": not an address or network for smallservd, so not served',
    ]);
  });

  test('that are empty serve nobody, or refuse nobody', async () => {
    expect(await reasonFor(entry('echo', 'only_from ='))).toBe('"echo" serves nobody: only_from is empty');
    expect(await settingsOf(entry('echo', 'no_access ='))).toEqual({});
  });

  test.each([
    [['only_from = 10.0.0.1', 'only_from = 10.0.0.2'], ['10.0.0.2/32']],
    [
      ['only_from = 10.0.0.1', 'only_from += 10.0.0.2'],
      ['10.0.0.1/32', '10.0.0.2/32'],
    ],
    [['only_from = 10.0.0.1 10.0.0.2', 'only_from -= 10.0.0.1'], ['10.0.0.2/32']],
    [['only_from = 10.0.0.0 x', 'only_from -= 10.0.0.0/8 x', 'only_from += ::1'], ['::1/128']],
  ])('%j allow %j', async (attributes, allow) => {
    expect(await settingsOf(entry('echo', ...attributes))).toEqual({ allow });
  });

  test('with a comma leave the service out', async () => {
    expect(await reasonFor(entry('echo', 'only_from = 10.0.0.1,10.0.0.2'))).toBe(
      '"echo" is not served: only_from: "10.0.0.1,10.0.0.2" has a comma: expected spaces between addresses',
    );
  });

  test('with a thousand addresses are too long', async () => {
    const addresses = Array.from({ length: 1001 }, (_, index) => `10.0.${index >> 8}.${index & 255}`).join(' ');
    await expect(xinetd(entry('echo', `only_from = ${addresses}`))).rejects.toThrow(
      'x:6: only_from has more than 1000 addresses',
    );
  });
});

describe('defaults', () => {
  test('hold for every service that does not set the same', async () => {
    const text = defaults('instances = 5', 'bind = 10.0.0.1', 'per_source = 2', 'only_from = 10.0.0.0');
    const { services } = await xinetd(`${text}${entry('echo')}${entry('time', 'instances = 6', 'bind = ::1')}`);
    expect(services).toMatchObject([
      { listen: ['tcp://10.0.0.1:7'], settings: { maxConnections: 5, allow: ['10.0.0.0/8'] } },
      { listen: ['tcp://[::1]:37'], settings: { maxConnections: 6, maxConnectionsPerSource: 2 } },
    ]);
  });

  test('below a service hold for it, except for the lists, as in xinetd', async () => {
    const text = `${entry('echo')}${defaults('instances = 5', 'only_from = 10.0.0.1')}`;
    expect(await settingsOf(text)).toEqual({ maxConnections: 5 });
    // Added to the list of the defaults, this would serve more clients than xinetd does.
    const added = `${entry('echo', 'only_from += 10.0.0.2')}${defaults('only_from = 0.0.0.0')}`;
    expect(await settingsOf(added)).toEqual({ allow: ['10.0.0.2/32'] });
  });

  test.each([
    ['only_from = 10.0.0.2', ['10.0.0.2/32']],
    ['only_from += 10.0.0.2', ['10.0.0.1/32', '10.0.0.2/32']],
    ['only_from -= 10.0.0.1', undefined],
  ])('are changed by %s', async (attribute, allow) => {
    const text = `${defaults('only_from = 10.0.0.1')}${entry('echo', attribute)}`;
    if (allow === undefined) expect(await reasonFor(text)).toBe('"echo" serves nobody: only_from is empty');
    else expect(await settingsOf(text)).toEqual({ allow });
  });

  test('accumulate lists', async () => {
    const text = defaults('only_from = 10.0.0.1', 'only_from = 10.0.0.2');
    expect(await settingsOf(`${text}${entry('echo')}`)).toEqual({ allow: ['10.0.0.1/32', '10.0.0.2/32'] });
  });

  test('are read once for each file', async () => {
    const imported = await xinetd(
      `${defaults('only_from = 10.0.0.1')}${defaults('only_from = 10.0.0.2', 'instances = 1')}include more\n${entry('echo')}`,
      { more: defaults('only_from = 10.0.0.3') },
    );
    expect(imported.services).toMatchObject([{ settings: { allow: ['10.0.0.1/32', '10.0.0.3/32'] } }]);
    expect(imported.services[0]?.settings.maxConnections).toBeUndefined();
    expect(notesOf(imported)).toEqual(['5: xinetd ignores all defaults of a file but the first']);
  });

  test('enable and disable services by id', async () => {
    const services = [entry('echo', 'id = one'), entry('time'), entry('discard')].join('');
    const namesIn = async (...lines: readonly string[]): Promise<readonly string[]> =>
      (await xinetd(`${defaults(...lines)}${services}`)).services.map(({ type }) => type);
    expect(await namesIn('disabled = one', 'disabled = time')).toEqual(['discard']);
    expect(await namesIn('enabled = one', 'enabled = time')).toEqual(['echo', 'time']);
    expect(await namesIn('enabled = one echo', 'disabled = one')).toEqual([]);
    expect(await reasonFor(`${defaults('disabled = echo')}${entry('echo')}`)).toBe('"echo" is in the list "disabled"');
    expect(await reasonFor(`${defaults('enabled = x')}${entry('echo', 'id = y')}`)).toBe(
      '"echo" (id "y") is not in the list "enabled"',
    );
  });

  test('note what is not imported', async () => {
    const { notes } = await xinetd(defaults('log_type = SYSLOG daemon info', 'log_on_success += PID', 'umask = 022'));
    expect(notesOf({ notes })).toEqual([
      '3: log_type = SYSLOG daemon info: smallservd has its own log; see log.file',
      '4: log_on_success += PID: smallservd has its own log; see log.connections',
      '5: umask = 022: smallservd has no equivalent of "umask"',
    ]);
  });

  test.each([
    [defaults('only_from = 10.0.0.1,10.0.0.2'), 'x:3: defaults: only_from: "10.0.0.1,10.0.0.2" has a comma'],
    [defaults('only_from 10.0.0.1'), 'x:3: defaults: "only_from 10.0.0.1" is not an assignment'],
    [defaults('bind = 10.0.0.1 10.0.0.2'), 'x:3: defaults: bind has 2 values: expected 1'],
    [defaults('instances += 1'), 'x:3: defaults: instances cannot have the operator +='],
    ['defaults\n{\n', 'x:1: this section has no end: expected a line with } alone'],
    ['defaults {\n}\n', 'x:1: expected a line with { alone after this one'],
    ['only_from = 10.0.0.1\n', 'x:1: expected service, defaults, include or includedir, found "only_from = 10.0.0.1"'],
    ['service echo\n{\n', 'x:1: this section has no end: expected a line with } alone'],
  ])('and sections that cannot be read are an error: %j', async (text, message) => {
    await expect(xinetd(`${text}${text.endsWith('{\n') ? '' : entry('echo')}`)).rejects.toThrow(message);
    await expect(xinetd(text)).rejects.toMatchObject({ code: 'IMPORT_INVALID', exitCode: 78 });
  });
});

describe('what is not imported from xinetd.conf', () => {
  test.each([
    [['disable = yes', 'nonsense'], '"echo" is disabled'],
    [['flags = DISABLE'], '"echo" is disabled'],
    [['id = e-1', 'disable = yes'], '"echo" (id "e-1") is disabled'],
    [['disable = maybe'], '"echo" is not served: disable is "maybe"'],
    [['nonsense'], '"echo" is not served: line 6: "nonsense" is not an assignment'],
    [['port=7'], '"echo" is not served: line 6: "port=7" is not an assignment'],
    [['access_times = 2:00-9:00'], '"echo" is served at certain times only (access_times)'],
    [['flags = SENSOR'], '"echo" is a sensor, not a service'],
    [['flags = IDONLY'], '"echo" serves only users that an ident server names (IDONLY)'],
    [['flags = NAMEINARGS'], '"echo" is not served: flag "NAMEINARGS" of an internal service'],
    [['flags = IPv5'], '"echo" is not served: flag "IPv5" of an internal service'],
    [['redirect = 10.0.0.1 7'], '"echo" is redirected to another host'],
    [['port = 8'], '"echo" is not served: port is 8, but 7 in /etc/services: expected type UNLISTED, too'],
    [['port = 70000'], '"echo" is not served: port is "70000": expected 1 to 65535'],
    [['instances = 0'], '"echo" serves nobody: instances is 0'],
    [['per_source = 0'], '"echo" serves nobody: per_source is 0'],
    [['instances = many'], '"echo" is not served: instances is "many": expected a number'],
    [['instances = 1 2'], '"echo" is not imported: instances has 2 values: expected 1'],
    [['cps = fast 1'], '"echo" is not served: cps is "fast 1": expected two numbers'],
    [
      ['bind = gateway'],
      '"echo" listens on "gateway", of which xinetd takes one address, and smallservd all: write the address',
    ],
    [['bind = 10.0.0.1', 'flags = IPv6'], '"echo" is not served: bind "10.0.0.1" does not fit the flags'],
    [['bind = ::1', 'flags = IPv4'], '"echo" is not served: bind "::1" does not fit the flags'],
    [['bind = 10.0.0.1', 'bind = 10.0.0.2'], '"echo" is not imported: bind is set twice'],
    [['protocol = udp'], '"echo" is not served: socket_type "stream" with protocol "udp" is neither TCP nor UDP'],
  ])('%j is noted', async (attributes, message) => {
    expect(await reasonFor(entry('echo', ...attributes))).toBe(message);
  });

  test.each([
    ['service ftp\n{\nserver = /usr/sbin/in.ftpd\n}\n', '"ftp" runs a program, "/usr/sbin/in.ftpd"'],
    [
      'service qotd\n{\nserver = /usr/games/fortune\n}\n',
      '"qotd" runs a program, "/usr/games/fortune"; smallservd has its own service qotd; configure it by hand',
    ],
    ['service rstatd\n{\ntype = RPC\n}\n', '"rstatd" is an RPC service'],
    ['service x\n{\ntype = TCPMUX\n}\n', '"x" is a program started by tcpmux'],
    ['service x\n{\ntype = OTHER\n}\n', '"x" is not served: unknown type "OTHER"'],
    ['service x\n{\n}\n', '"x" is not served: it has no server, and its type is not INTERNAL'],
    [entry('servers'), '"servers" is an internal service that is not imported'],
    ['service echo\n{\ntype = INTERNAL\nsocket_type = stream\n}\n', '"echo" is not served: wait is missing'],
    ['service echo\n{\ntype = INTERNAL\nwait = no\n}\n', '"echo" is not served: socket_type is missing'],
    [
      'service echo\n{\ntype = INTERNAL UNLISTED\nwait = no\nprotocol = tcp\n}\n',
      '"echo" is not served: it is UNLISTED and has no port',
    ],
  ])('%j is noted', async (text, message) => {
    expect(await reasonFor(text)).toBe(message);
  });

  test('attributes without a meaning here are noted, and the service is imported', async () => {
    const { services } = await xinetd(
      entry('echo', 'user = root', 'nice = 10', 'banner = /etc/banner', 'constructor = x', 'max_load = 2.5'),
    );
    expect(services[0]?.notes.map(({ message }) => message)).toEqual([
      'nice = 10: smallservd has no equivalent of "nice"',
      'banner = /etc/banner: banners are not imported',
      'constructor = x: smallservd has no equivalent of "constructor"',
      'max_load = 2.5: smallservd does not look at the load of the machine',
    ]);
  });

  test('services that TCP wrappers restrict are noted, unless they do without', async () => {
    expect(await reasonFor(entry('echo'), true)).toBe(
      '"echo" is also restricted by /etc/hosts.allow and /etc/hosts.deny, which are not imported; --ignore-wrappers imports it without them',
    );
    expect((await xinetd(entry('echo', 'flags = NOLIBWRAP'), {}, true)).services).toHaveLength(1);
  });
});
