import { describe, expect, test } from 'vitest';
import { treeOfObject } from '../../../../src/server/config/tree.ts';
import { loadConfig } from '../../../../src/server/config/load.ts';
import { problemsOf, sourceOf } from './sources.ts';

const echo = 'services: { echo: { listen: tcp://localhost:0 } }\n';
const kinds = 'echo, discard, chargen, qotd, systat, daytime, time, stamp, tcpmux, finger, ident, envelope';
const duration = 'a duration with a unit, such as 500ms, 10s, 5m, 24h (1ms to 24d), or never';
const topKeys = 'workers, sockets, user, group, log, shutdown, reload, admin, defaults, services';

describe('reports location and remedy of', () => {
  test.each<[string, string, readonly string[]]>([
    ['an empty file', '', ['test.yaml:1:1 services is missing or empty: expected at least one, such as echo:']],
    ['no services', 'workers: 1', ['test.yaml:1:1 services is missing or empty: expected at least one, such as echo:']],
    [
      'services without a value',
      'services:',
      ['test.yaml:1:1 services is missing or empty: expected at least one, such as echo:'],
    ],
    [
      'an empty map of services',
      'services: {}',
      ['test.yaml:1:11 services is missing or empty: expected at least one, such as echo:'],
    ],
    [
      'services that are a list',
      'services: [echo]',
      ['test.yaml:1:11 services is not a mapping of services: expected at least one, such as echo:'],
    ],
    ['a list instead of a config', '- a', ['test.yaml:1:1 is not a config: expected keys such as services:']],
    ['text instead of a config', '\n  hello', ['test.yaml:2:3 is not a config: expected keys such as services:']],
    ['an unknown key', `${echo}workrs: 2`, ['test.yaml:2:1 workrs: unknown key; did you mean workers?']],
    [
      'a key that resembles no other',
      `${echo}  \nfrobnicate: 2`,
      [`test.yaml:3:1 frobnicate: unknown key: expected one of ${topKeys}`],
    ],
    [
      'an unknown key of a service',
      'services:\n  echo:\n    listen: tcp://localhost:0\n    idletimeout: 3s',
      ['test.yaml:4:5 services.echo.idletimeout: unknown key; did you mean idleTimeout?'],
    ],
    [
      "another kind's option",
      'services: { daytime: { listen: tcp://localhost:0, formt: unix } }',
      ['test.yaml:1:51 services.daytime.formt: unknown key; did you mean format?'],
    ],
    [
      'options of a built-in service',
      'services: { echo: { listen: tcp://localhost:0, options: {} } }',
      [
        'test.yaml:1:48 services.echo.options: unknown key: ' +
          'options of a built-in service go next to its other keys',
      ],
    ],
    [
      'an unknown key of a section',
      `${echo}log: { lvl: info, levels: info }`,
      [
        'test.yaml:2:8 log.lvl: unknown key: expected one of level, connections, file',
        'test.yaml:2:19 log.levels: unknown key; did you mean level?',
      ],
    ],
    [
      'an invalid value',
      `${echo}workers: many`,
      ['test.yaml:2:10 workers: "many" is not auto or a whole number from 0 to 256'],
    ],
    [
      'a value instead of a mapping',
      `${echo}log: debug`,
      ['test.yaml:2:6 log: "debug" is not a mapping: expected the keys level, connections, file'],
    ],
    [
      'nothing instead of a mapping',
      `${echo}log:\n`,
      ['test.yaml:2:1 log: null is not a mapping: expected the keys level, connections, file'],
    ],
    [
      'a mapping instead of a value',
      `${echo}workers: { a: 1 }`,
      ['test.yaml:2:10 workers: a mapping is not auto or a whole number from 0 to 256'],
    ],
    [
      'nothing instead of a value',
      `${echo}workers:`,
      ['test.yaml:2:1 workers: null is not auto or a whole number from 0 to 256'],
    ],
    [
      'a wrong default, once',
      'defaults: { idleTimeout: 10 }\nservices:\n  echo: { listen: tcp://:0 }\n  time: { listen: tcp://:0 }',
      [`test.yaml:1:26 defaults.idleTimeout: 10 is not ${duration}`],
    ],
    [
      'listen in defaults',
      `${echo}defaults: { listen: tcp://:0, keepAlive: { delay: 1 } }`,
      [
        'test.yaml:2:13 defaults.listen: unknown key: expected one of allow, deny, exempt, dryRun, ' +
          'proxyProtocol, idleTimeout, stallTimeout, minRate, maxLifetime, lingerTimeout, maxBytes, maxConnections, ' +
          'maxConnectionsPerSource, networkShare, connectionRate, streamPrefix, keepAlive, noDelay, backlog, freebind, ' +
          'datagramRate, datagramServiceRate, datagramPrefix, maxAmplification, allowSourcePorts, receiveBuffer, ' +
          'fragment, exposeUdp',
        'test.yaml:2:51 defaults.keepAlive.delay: 1 is not a duration in whole seconds, such as 60s or 5m (at most 9h)',
      ],
    ],
    [
      'no listen',
      'services:\n  echo: {}',
      [
        'test.yaml:2:3 services.echo.listen is missing or empty: expected at least one address, such as tcp://localhost:1201',
      ],
    ],
    [
      'an empty listen',
      'services:\n  echo: { listen: [] }',
      [
        'test.yaml:2:19 services.echo.listen is missing or empty: expected at least one address, such as tcp://localhost:1201',
      ],
    ],
    [
      'a listen that is a mapping',
      'services:\n  echo: { listen: { tcp: 7 } }',
      [
        'test.yaml:2:19 services.echo.listen: a mapping is not a list of listen addresses, such as tcp://localhost:1201',
      ],
    ],
    [
      'an invalid item',
      'services:\n  echo:\n    listen:\n      - tcp://localhost:0\n      - tcp://localhost:99999',
      ['test.yaml:5:9 services.echo.listen[1]: "tcp://localhost:99999" has port "99999": expected 0 to 65535'],
    ],
    [
      'an unknown type',
      'services:\n  a: { type: daytme, listen: tcp://:0, format: unix }',
      [`test.yaml:2:14 services.a.type: unknown service "daytme": expected one of ${kinds}; did you mean daytime?`],
    ],
    [
      'a name that is not a type',
      'services:\n  a: { listen: tcp://:0 }',
      [`test.yaml:2:3 services.a: unknown service: expected ${kinds}; for any other name, set "type" or "module"`],
    ],
    [
      'a type that is not text',
      'services:\n  a: { type: 5, listen: tcp://:0 }',
      ['test.yaml:2:14 services.a.type: 5 is not text (in quotes if it looks like something else), or null'],
    ],
    [
      'both type and module',
      'services:\n  a: { type: echo, module: ./a.js, listen: tcp://:0 }',
      ['test.yaml:2:28 services.a.module cannot be combined with type'],
    ],
    [
      'a missing module',
      'services:\n  a: { module: ./a.js, listen: tcp://:0 }',
      ['test.yaml:2:16 services.a.module: "./a.js": there is no file /nonexistent/a.js'],
    ],
    [
      'a service that is not a mapping',
      'services:\n  echo: tcp://:7\n  time:',
      [
        'test.yaml:2:9 services.echo is not a mapping: expected the keys of a service, such as listen:',
        'test.yaml:3:3 services.time is not a mapping: expected the keys of a service, such as listen:',
      ],
    ],
    [
      'invalid names',
      'services:\n  Echo: {}\n  a.b: {}\n  __proto__: {}\n  7: {}\n  constructor: { listen: tcp://:0 }\n  default: { listen: tcp://:0 }',
      [
        'test.yaml:2:3 services.Echo is not a valid service name: expected a-z, then a-z, 0-9 and -',
        'test.yaml:3:3 services["a.b"] is not a valid service name: expected a-z, then a-z, 0-9 and -',
        'test.yaml:4:3 services.__proto__ is not a valid service name: expected a-z, then a-z, 0-9 and -',
        'test.yaml:5:3 services.7 is not a valid service name: expected a-z, then a-z, 0-9 and -',
        `test.yaml:6:3 services.constructor: unknown service: expected ${kinds}; for any other name, set "type" or "module"`,
        `test.yaml:7:3 services.default: unknown service: expected ${kinds}; for any other name, set "type" or "module"`,
      ],
    ],
    [
      'transports that a service does not answer over',
      'services:\n  ident: { listen: ["tcp://:0", "udp://:0", "unix:///run/i"] }\n  stamp: { listen: ["tcp://:1", "unix:///run/s"] }',
      [
        'test.yaml:2:33 services.ident.listen[1]: udp://:0: ident answers over TCP only: expected a TCP or UNIX address',
        'test.yaml:3:21 services.stamp.listen[0]: tcp://:1: stamp answers over UDP only: expected a UDP address',
        'test.yaml:3:33 services.stamp.listen[1]: unix:///run/s: stamp answers over UDP only: expected a UDP address',
      ],
    ],
    [
      'keys that objects inherit',
      'services:\n  echo: { listen: tcp://:0, __proto__: { a: 1 }, constructor: { prototype: 1 } }\ntoString: 1',
      [
        'test.yaml:2:29 services.echo.__proto__: unknown key',
        'test.yaml:2:50 services.echo.constructor: unknown key',
        `test.yaml:3:1 toString: unknown key: expected one of ${topKeys}`,
      ],
    ],
  ])('%s', async (_name, text, expected) => {
    const found = await problemsOf(text);
    // The keys that a service may have are listed in full elsewhere.
    expect(found.map((line) => line.replace(/(\.(__proto__|constructor): unknown key): .*/, '$1'))).toEqual(expected);
  });
});

describe('syntax', () => {
  test.each<[string, string, readonly string[]]>([
    ['a duplicate key', `${echo}workers: 1\nworkers: 2`, ['test.yaml:3:1 workers: duplicate key']],
    ['a tab', 'log:\n\tlevel: info', ['test.yaml:2:1: tabs are not allowed as indentation']],
    [
      'several errors',
      'log: {\nservices: [}\nx: "',
      [
        'test.yaml:2:1: flow map in block collection must be sufficiently indented and end with a }',
        'test.yaml:2:12: flow sequence in block collection must be sufficiently indented and end with a ]',
        'test.yaml:3:5: missing closing "quote',
      ],
    ],
    [
      'an unknown anchor',
      `${echo}workers: *many`,
      [
        'test.yaml:2:10 workers: unknown anchor *many',
        'test.yaml:2:10 workers: null is not auto or a whole number from 0 to 256',
      ],
    ],
    ['a tag', `${echo}workers: !js 1`, ['test.yaml:2:10: unresolved tag: !js']],
    [
      'a merge key',
      `${echo}<<: { workers: 1 }`,
      ['test.yaml:2:1: merge keys (<<) are not part of YAML 1.2: repeat the keys, or use "defaults"'],
    ],
    ['two documents', `${echo}---\n${echo}`, ['test.yaml:2:1: second document: expected only one']],
    ['a key that is a list', `${echo}? [a]\n: 1`, ['test.yaml:2:3: a key must be a scalar']],
    ['another YAML version', `%YAML 1.1\n---\n${echo}`, ['test.yaml:1:1 is not YAML 1.2: remove the %YAML line']],
    ['an oversized file', ' '.repeat(1_100_000), ['test.yaml:1:1 is larger than 1 MiB, the limit for a config']],
  ])('%s', async (_name, text, expected) => {
    expect(await problemsOf(text)).toEqual(expected);
  });

  test('keeps control characters of the config out of messages', async () => {
    const [problem = ''] = await problemsOf('*a\0\u009b');
    expect(problem).toContain('*a\\u0000');
    expect(problem).not.toMatch(/\p{Cc}/u);
  });

  test('accepts an anchor', async () => {
    const text =
      'services:\n  echo: { listen: tcp://:0, allow: &lan [10.0.0.0/8] }\n  time: { listen: tcp://:0, allow: *lan }';
    const { config } = await loadConfig(sourceOf(text), { importModules: true });
    expect(config.services[1]?.access.allow).toEqual(config.services[0]?.access.allow);
    expect(config.services[1]?.access.allow).toHaveLength(1);
  });

  test.each([
    ['an anchor inside itself', 'services: &a { b: *a }'],
    [
      'a billion laughs',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${'bcdefghij'
        .split('')
        .map((key, index) => `${key}: &${key} [${`*${'abcdefghi'[index]},`.repeat(9)}]\n`)
        .join('')}`,
    ],
    ['deep nesting', `a: ${'['.repeat(30)}${']'.repeat(30)}`],
    ['very deep nesting', `a: ${'['.repeat(20_000)}`],
  ])('refuses %s', async (_name, text) => {
    const problems = await problemsOf(text);
    expect(problems.join('\n')).toMatch(/is nested too deeply|has too many values for a config/);
  });
});

describe('a huge config', () => {
  test('has its first 100 problems reported and the rest counted', async () => {
    const text = Array.from({ length: 30_000 }, (_, index) => `key${index}: ${index}`).join('\n');
    const problems = await problemsOf(text);
    expect(problems).toHaveLength(101);
    expect(problems[0]).toMatch(/^test\.yaml:1:1 key0: unknown key: expected one of workers, /);
    expect(problems[100]).toBe('and 29901 more problems');
  });

  test.each([
    ['quotes', '"'.repeat(1 << 20)],
    ['anchors and aliases', '&a *a '.repeat(170_000)],
    ['documents', '---\n'.repeat(260_000)],
    ['mappings', '{}\n'.repeat(340_000)],
    ['tabs', '\t- a\n'.repeat(200_000)],
    ['keys without values', 'a:\n'.repeat(340_000)],
  ])('of %s', async (_name, text) => {
    expect((await problemsOf(text)).length).toBeLessThanOrEqual(101);
  });

  test('may be valid, with ten thousand services', async () => {
    const services = Array.from(
      { length: 10_000 },
      (_, index) => `  echo-${index}: { type: echo, listen: ["tcp://127.0.${index >> 8}.${index & 255}:7"] }\n`,
    );
    const { config } = await loadConfig(sourceOf(`services:\n${services.join('')}`), { importModules: true });
    expect(config.services).toHaveLength(10_000);
  });
});

describe('overlapping listeners', () => {
  test.each<[string, string, readonly string[]]>([
    [
      'the same address in two services',
      'services:\n  echo: { listen: tcp://localhost:7 }\n  time: { listen: tcp://localhost:7 }',
      ['test.yaml:3:19 services.time.listen[0]: tcp://localhost:7 is also an address of services.echo'],
    ],
    [
      'the same address twice',
      'services:\n  echo: { listen: [tcp://127.0.0.1:7, tcp://127.0.0.1:7] }',
      ['test.yaml:2:39 services.echo.listen[1]: tcp://127.0.0.1:7 is also an address of this service'],
    ],
    [
      'all interfaces and one of them',
      'services:\n  echo: { listen: ["udp://*:7"] }\n  time: { listen: ["udp://[::1]:7"] }',
      ['test.yaml:3:20 services.time.listen[0]: udp://[::1]:7 overlaps with udp://*:7 of services.echo'],
    ],
    [
      'localhost and its literal address',
      'services:\n  echo: { listen: "tcp://127.0.0.1:echo" }\n  time: { listen: tcp://localhost:7 }',
      ['test.yaml:3:19 services.time.listen[0]: tcp://localhost:7 overlaps with tcp://127.0.0.1:echo of services.echo'],
    ],
    [
      'a name, a path, a descriptor and a unit',
      'services:\n' +
        '  echo: { listen: ["tcp://a.example:7", "unix:///run/a", "fd://3", "systemd:a"] }\n' +
        '  time: { listen: ["tcp://A.example:7", "unix:///run/../run/a", "fd://03", "systemd:a"] }',
      [
        'test.yaml:3:20 services.time.listen[0]: tcp://A.example:7 overlaps with tcp://a.example:7 of services.echo',
        'test.yaml:3:41 services.time.listen[1]: unix:///run/../run/a overlaps with unix:///run/a of services.echo',
        'test.yaml:3:65 services.time.listen[2]: fd://03 overlaps with fd://3 of services.echo',
        'test.yaml:3:76 services.time.listen[3]: systemd:a is also an address of services.echo',
      ],
    ],
    [
      'the same path with other parameters or spelled differently',
      'services:\n' +
        '  echo: { listen: ["unix:///run/a?mode=0600", "unix:///run/%61?mode=0660"] }\n' +
        '  time: { listen: "unix:///run/a?owner=0" }\n' +
        'admin: { listen: "unix:///run/a" }',
      [
        'test.yaml:2:47 services.echo.listen[1]: unix:///run/%61?mode=0660 overlaps with unix:///run/a?mode=0600 of this service',
        'test.yaml:3:19 services.time.listen[0]: unix:///run/a?owner=0 overlaps with unix:///run/a?mode=0600 of services.echo',
        'test.yaml:4:18 admin.listen: unix:///run/a overlaps with unix:///run/a?mode=0600 of services.echo',
      ],
    ],
    [
      'invalid parameters',
      'services:\n  echo: { listen: ["unix:///run/a?mod=0600", "fd://3?mode=0600"] }\nadmin: { listen: "unix:///run/b?mode=rw" }',
      [
        'test.yaml:2:20 services.echo.listen[0]: "unix:///run/a?mod=0600" has parameter "mod": expected mode, owner or group, ' +
          'and %3F for a ? in the path; did you mean mode?',
        'test.yaml:2:46 services.echo.listen[1]: "fd://3?mode=0600" has parameters: the mode and owner of an inherited socket are set where it is created (SocketMode=, SocketUser=)',
        'test.yaml:3:18 admin.listen: "unix:///run/b?mode=rw" has mode "rw": expected an octal number from 0 to 0777, such as 0660',
      ],
    ],
    [
      'the admin endpoint and a service',
      'services:\n  echo: { listen: "tcp://*:9013" }\nadmin: { listen: "tcp://127.0.0.1:9013" }',
      ['test.yaml:3:18 admin.listen: tcp://127.0.0.1:9013 overlaps with tcp://*:9013 of services.echo'],
    ],
    [
      'an invalid admin address',
      'services:\n  echo: { listen: "tcp://*:9013" }\nadmin: { listen: 9013 }',
      [expect.stringMatching(/^test\.yaml:3:18 admin\.listen: 9013 is not a TCP address/) as string],
    ],
    [
      'no overlap with port 0 or other transports, families and ports',
      'services:\n  echo: { listen: "tcp4://*:7 udp://*:7 tcp://:0" }\n  time: { listen: "tcp6://*:7, tcp://*:8 tcp://:0" }',
      [],
    ],
  ])('%s', async (_name, text, expected) => {
    expect(await problemsOf(text)).toEqual(expected);
  });
});

describe('UDP exposure', () => {
  const reason = 'it sends up to 512 bytes to any forged source address';

  test.each(['udp://*:19', 'udp4://:19', 'udp://192.0.2.7:19', 'udp://[2001:db8::1]:19'])(
    'chargen on %s needs exposeUdp',
    async (listen) => {
      const text = `services:\n  chargen: { listen: "${listen}" }`;
      expect(await problemsOf(text)).toEqual([
        `test.yaml:2:22 services.chargen.listen[0]: ${listen} exposes UDP to public addresses, where chargen can be abused: ` +
          `${reason}. Listen on a loopback, private or link-local address, use TCP, or set exposeUdp: true (for services on the command line: --expose-udp)`,
      ]);
      expect(await problemsOf(text.replace('{ ', '{ exposeUdp: true, '))).toEqual([]);
      expect(await problemsOf(text, { sets: ['services.chargen.exposeUdp=true'] })).toEqual([]);
      expect(await problemsOf(`defaults: { exposeUdp: true }\n${text}`)).toEqual([]);
    },
  );

  test.each([
    'udp://localhost:19',
    'udp://127.0.0.1:19',
    'udp://10.1.2.3:19',
    'udp://[fd00::1]:19',
    'udp://[fe80::1%eth0]:19',
    'udp://name.example:19',
    'tcp://*:19',
    'unix:///run/chargen',
    'fd://3',
  ])('chargen on %s does not need exposeUdp', async (listen) => {
    expect(await problemsOf(`services:\n  chargen: { listen: "${listen}" }`)).toEqual([]);
  });

  test.each(['echo', 'discard', 'daytime', 'time'])('%s is not a hazard', async (kind) => {
    expect(await problemsOf(`services: { ${kind}: { listen: "udp://*:19" } }`)).toEqual([]);
  });

  test.each(['qotd', 'systat', 'chargen'])('%s is a hazard', async (kind) => {
    expect(await problemsOf(`services: { ${kind}: { listen: "udp://*:19" } }`)).toHaveLength(1);
  });
});

test('reports all problems at once, ordered by file, environment and command line', async () => {
  const text = `
workrs: 2
defaults:
  idleTimeout: 10
services:
  echo: { listen: ["tcp://localhost:1201", "tcp://[::1:9"], maxConnections: 0 }
  daytime: { listen: tcp://*:7, allow: [10.0.0.1/8], format: foo }
  time: { listen: [tcp://localhost:7] }
`;
  const env = { SMALLSERVD_DEFAULTS__NO_DELAY: 'no', SMALLSERVD_LOG_LEVEL: 'info' };
  expect(await problemsOf(text, { env, sets: ['services.time.backlog=none', 'workers'] })).toEqual([
    'test.yaml:2:1 workrs: unknown key; did you mean workers?',
    `test.yaml:4:16 defaults.idleTimeout: 10 is not ${duration}`,
    'test.yaml:6:44 services.echo.listen[1]: "tcp://[::1:9" is not a listen address: ' +
      'expected host:port after the scheme, as in tcp://localhost:1201',
    'test.yaml:6:77 services.echo.maxConnections: 0 is not a whole number of at least 1',
    'test.yaml:7:41 services.daytime.allow[0]: "10.0.0.1/8" has host bits set: ' +
      'expected a network address, such as 10.0.0.0/8',
    'test.yaml:7:62 services.daytime.format: "foo" is not one of rfc867, smtp, ctime, unix, iso8601, nist',
    'test.yaml:8:20 services.time.listen[0]: tcp://localhost:7 overlaps with tcp://*:7 of services.daytime',
    'SMALLSERVD_LOG_LEVEL is not a smallservd variable; did you mean SMALLSERVD_LOG__LEVEL?',
    'SMALLSERVD_DEFAULTS__NO_DELAY: "no" is not true or false',
    '--set services.time.backlog: "none" is not a whole number from 1 to 65535',
    '--set workers: expected key=value, such as services.echo.idleTimeout=10s',
  ]);
});

describe('an object instead of text', () => {
  const options = { importModules: true };

  test('is accepted as a config', async () => {
    const tree = { workers: 0, services: { echo: { listen: ['tcp://localhost:0'], idleTimeout: undefined } } };
    const { text: _text, ...source } = sourceOf('');
    const { config } = await loadConfig({ ...source, name: 'config', text: undefined, tree }, options);
    expect(config.workers).toBe(0);
  });

  test.each<[string, unknown, string]>([
    ['text', 'services', 'config is not a config: expected an object'],
    ['a list', [], 'config is not a config: expected an object'],
    [
      'a function in it',
      { workers: () => 1, services: {} },
      'config workers is not a value that a config can hold: expected text, a number, true, false, null, a list or a plain object',
    ],
    ['an invalid value', { workers: -1 }, 'config workers: -1 is not auto or a whole number from 0 to 256'],
  ])('is refused: %s', async (_name, tree, expected) => {
    const source = { ...sourceOf(''), name: 'config', text: undefined, tree };
    await expect(loadConfig(source, options)).rejects.toThrow(expected);
  });

  test('is refused if it has a cycle', () => {
    const tree: Record<string, unknown> = {};
    tree['self'] = tree;
    const refused: string[] = [];
    treeOfObject(
      tree,
      () => ({ where: '', rank: 0, names: undefined }),
      (_path, message) => refused.push(message),
    );
    expect(refused).toEqual(['is nested too deeply']);
  });
});
