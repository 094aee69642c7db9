import { describe, expect, test } from 'vitest';
import { environmentName } from '../../../../src/server/config/environment.ts';
import { load, problemsOf } from './sources.ts';

const text = `
log: { level: warn }
defaults: { idleTimeout: 2m }
services:
  echo: { listen: tcp://localhost:0, stallTimeout: 7s }
  echo-lan: { type: echo, listen: tcp://localhost:0, idleTimeout: 3m }
`;

async function idleTimeouts(more: Parameters<typeof load>[1], config = text): Promise<Record<string, number>> {
  const loaded = await load(config, more);
  return Object.fromEntries(loaded.config.services.map(({ name, stream }) => [name, stream.idleTimeoutMs / 1000]));
}

describe('precedence', () => {
  test('puts the service above the defaults block above the default', async () => {
    expect(await idleTimeouts({}, 'services: { echo: { listen: tcp://localhost:0 } }')).toEqual({ echo: 300 });
    expect(await idleTimeouts({})).toEqual({ echo: 120, 'echo-lan': 180 });
  });

  test('puts the environment above the file and --set above both', async () => {
    const env = { SMALLSERVD_SERVICES__ECHO_LAN__IDLE_TIMEOUT: '4m', SMALLSERVD_DEFAULTS__IDLE_TIMEOUT: '1m' };
    expect(await idleTimeouts({ env })).toEqual({ echo: 60, 'echo-lan': 240 });
    const sets = ['services.echo-lan.idleTimeout=5m'];
    expect(await idleTimeouts({ env, sets })).toEqual({ echo: 60, 'echo-lan': 300 });
    expect(await idleTimeouts({ sets: [...sets, 'services.echo-lan.idleTimeout=6m'] })).toEqual({
      echo: 120,
      'echo-lan': 360,
    });
  });

  test('puts the value of a service above any default', async () => {
    expect(await idleTimeouts({ sets: ['defaults.idleTimeout=9s'] })).toEqual({ echo: 9, 'echo-lan': 180 });
  });

  test('puts the amplification of a service type between the built-in default and the config', async () => {
    const both = 'services: { chargen: { listen: tcp://:0 }, echo: { listen: tcp://:0 } }';
    async function amplifications(sets: readonly string[]): Promise<readonly number[]> {
      const { config } = await load(both, { sets });
      return config.services.map(({ datagram }) => datagram.maxAmplification);
    }
    expect(await amplifications([])).toEqual([1, 2]);
    expect(await amplifications(['defaults.maxAmplification=3'])).toEqual([3, 3]);
    expect(await amplifications(['services.chargen.maxAmplification=1.5'])).toEqual([1.5, 2]);
  });
});

describe('overrides', () => {
  test('set every kind of value from text', async () => {
    const env = {
      SMALLSERVD_WORKERS: '3',
      SMALLSERVD_USER: 'nobody',
      SMALLSERVD_LOG__LEVEL: 'debug',
      SMALLSERVD_LOG__FILE: 'null',
      SMALLSERVD_SERVICES__ECHO__ALLOW: '10.0.0.0/8, ::1',
      SMALLSERVD_SERVICES__ECHO__LISTEN: '[tcp://localhost:0, "unix:///run/a b"]',
      SMALLSERVD_SERVICES__ECHO__KEEP_ALIVE__ENABLED: 'false',
      SMALLSERVD_SERVICES__ECHO__CONNECTION_RATE__PER_SECOND: '5',
      SMALLSERVD_SERVICES__ECHO__MAX_BYTES: 'unlimited',
    };
    const { config } = await load(text, { env });
    expect(config).toMatchObject({ workers: 3, user: 'nobody', log: { level: 'debug', file: null } });
    expect(config.services[0]).toMatchObject({
      listen: [{ scheme: 'tcp' }, { scheme: 'unix', path: '/run/a b' }],
      socket: { keepAlive: { enabled: false } },
      stream: { connectionRate: { perSecond: 5, burst: 200 }, maxBytes: Infinity },
    });
    expect(config.services[0]?.access.allow).toHaveLength(2);
  });

  test('add a service that the file does not have', async () => {
    const sets = [
      'services.new-one.type=daytime',
      'services.new-one.listen=tcp://:0,udp://:0',
      'services.new-one.format=unix',
    ];
    const env = { SMALLSERVD_SERVICES__TIME__LISTEN: 'tcp://:0', SMALLSERVD_SERVICES__NEW_ONE__ZONE: 'UTC' };
    const { config } = await load(text, { sets, env });
    expect(config.services.map(({ name, type, listen }) => [name, type, listen.length])).toEqual([
      ['echo', 'echo', 1],
      ['echo-lan', 'echo', 1],
      ['new-one', 'daytime', 2],
      ['time', 'time', 1],
    ]);
    expect(config.services[2]?.options).toEqual({ format: 'unix', zone: 'UTC', whenUnsynchronized: 'answer' });
  });

  test('need no config file', async () => {
    expect(await idleTimeouts({ sets: ['services.echo.listen=tcp://:0'] }, '')).toEqual({ echo: 300 });
  });

  test('may contain an equals sign in a value', async () => {
    const sets = ['services.systat.listen=tcp://:0', 'services.systat.show=text', 'services.systat.text=a=b'];
    const { config } = await load('', { sets });
    expect(config.services[0]?.options).toEqual({ show: 'text', text: 'a=b' });
  });
});

describe('invalid environment variables', () => {
  test.each<[Record<string, string>, readonly string[]]>([
    [
      { SMALLSERVD_SERVICES__ECHO__MAX_CONNECTIONS: 'many' },
      ['SMALLSERVD_SERVICES__ECHO__MAX_CONNECTIONS: "many" is not a whole number of at least 1'],
    ],
    [{ SMALLSERVD_WORKERS: 'x' }, ['SMALLSERVD_WORKERS: "x" is not auto or a whole number from 0 to 256']],
    [
      { SMALLSERVD_SERVICES__ECHO__LISTEN: 'tcp://:0 tcp://x' },
      ['SMALLSERVD_SERVICES__ECHO__LISTEN[1]: "tcp://x" has no port: expected one as in tcp://localhost:1201'],
    ],
    [
      { SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOT: '5m' },
      ['SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOT: unknown key; did you mean idleTimeout?'],
    ],
    [{ SMALLSERVD_LOGS__LEVEL: 'info' }, ['logs (SMALLSERVD_LOGS__LEVEL): unknown key; did you mean log?']],
    [
      { SMALLSERVD_SERVICES__ECHOO__LISTEN: 'tcp://:0' },
      [
        'services.echoo (SMALLSERVD_SERVICES__ECHOO__LISTEN): unknown service: ' +
          'expected echo, discard, chargen, qotd, systat, daytime, time, stamp, tcpmux, finger, ident, envelope; for any other name, set "type" or "module"; did you mean echo?',
      ],
    ],
    [
      { SMALLSERVD_VERSION_OF_IMAGE: '1' },
      [
        'SMALLSERVD_VERSION_OF_IMAGE is not a smallservd variable: ' +
          'expected SMALLSERVD_CONFIG, or a key such as SMALLSERVD_LOG__LEVEL, with two underscores between its levels',
      ],
    ],
    [{ SMALLSERVD_WORKER: '1' }, ['SMALLSERVD_WORKER is not a smallservd variable; did you mean SMALLSERVD_WORKERS?']],
    [
      { SMALLSERVD_LOG_LEVEL: 'info' },
      ['SMALLSERVD_LOG_LEVEL is not a smallservd variable; did you mean SMALLSERVD_LOG__LEVEL?'],
    ],
    [
      { SMALLSERVD_DEFAULTS_IDLE_TIMEOUT: '1s' },
      [
        'SMALLSERVD_DEFAULTS_IDLE_TIMEOUT is not a smallservd variable; ' +
          'did you mean SMALLSERVD_DEFAULTS__IDLE_TIMEOUT?',
      ],
    ],
    [
      { SMALLSERVD_SERVICES_ECHO_LISTEN: 'tcp://:0' },
      [
        'SMALLSERVD_SERVICES_ECHO_LISTEN is not a smallservd variable: ' +
          'expected SMALLSERVD_CONFIG, or a key such as SMALLSERVD_LOG__LEVEL, with two underscores between its levels',
      ],
    ],
    [
      { SMALLSERVD_SERVICES: 'echo' },
      ['SMALLSERVD_SERVICES is not a mapping of services: expected at least one, such as echo:'],
    ],
    [
      { SMALLSERVD_LOG__LEVEL__DEEP: '1' },
      ['log.level (SMALLSERVD_LOG__LEVEL__DEEP): a mapping is not one of debug, info, warn, error, silent'],
    ],
  ])('%j', async (env, expected) => {
    expect(await problemsOf(text, { env })).toEqual(expected);
  });

  test('do not include Kubernetes variables, empty variables or the one that names the file', async () => {
    const env = {
      SMALLSERVD_SERVICE_HOST: '10.0.0.1',
      SMALLSERVD_SERVICE_PORT: '13',
      SMALLSERVD_SERVICE_PORT_DAYTIME: '13',
      SMALLSERVD_PORT: 'tcp://10.0.0.1:13',
      SMALLSERVD_PORT_13_TCP: 'tcp://10.0.0.1:13',
      SMALLSERVD_PORT_13_TCP_PROTO: 'tcp',
      SMALLSERVD_PORT_13_TCP_PORT: '13',
      SMALLSERVD_PORT_13_UDP_ADDR: '10.0.0.1',
      SMALLSERVD_ADMIN_SERVICE_HOST: '10.0.0.1',
      SMALLSERVD_ADMIN_PORT_9013_TCP_ADDR: '10.0.0.1',
      SMALLSERVD_CONFIG: '/etc/smallservd.yaml',
      SMALLSERVD_WORKERS: '',
      SMALLSERVD_NOTHING_OF_OURS: '',
      SMALLSERV_WORKERS: 'x',
      PATH: '/bin',
    };
    expect(await problemsOf(text, { env })).toEqual([]);
  });
});

describe('invalid --set arguments', () => {
  test.each<[string, readonly string[]]>([
    ['workers', ['--set workers: expected key=value, such as services.echo.idleTimeout=10s']],
    ['=1', ['--set : expected key=value, such as services.echo.idleTimeout=10s']],
    ['a..b=1', ['--set a..b: expected key=value, such as services.echo.idleTimeout=10s']],
    ['a\u001b[2J=1', ['--set a?[2J: expected key=value, such as services.echo.idleTimeout=10s']],
    [
      '__proto__.workers=1',
      [
        '__proto__ (--set __proto__.workers): unknown key: expected one of workers, sockets, user, group, log, shutdown, reload, admin, defaults, services',
      ],
    ],
    [
      'services.foo.listen=tcp://:0',
      [
        'services.foo (--set services.foo.listen): unknown service: expected echo, discard, chargen, qotd, ' +
          'systat, daytime, time, stamp, tcpmux, finger, ident, envelope; for any other name, set "type" or "module"',
      ],
    ],
    ['workers.x=1', ['workers (--set workers.x): a mapping is not auto or a whole number from 0 to 256']],
    ['services.echo=x', ['--set services.echo is not a mapping: expected the keys of a service, such as listen:']],
    [
      'services.echo.idleTimeout=10',
      [
        '--set services.echo.idleTimeout: "10" is not a duration with a unit, ' +
          'such as 500ms, 10s, 5m, 24h (1ms to 24d), or never',
      ],
    ],
    [
      'services.x.type=echo',
      [
        'services.x.listen (--set services.x.type) is missing or empty: ' +
          'expected at least one address, such as tcp://localhost:1201',
      ],
    ],
    [
      'services.echo.listen=',
      ['--set services.echo.listen is missing or empty: expected at least one address, such as tcp://localhost:1201'],
    ],
  ])('%j', async (set, expected) => {
    expect(await problemsOf(text, { sets: [set] })).toEqual(expected);
  });
});

describe('removing a service', () => {
  test.each<[Parameters<typeof load>[1]]>([
    [{ sets: ['services.echo-lan=null'] }],
    [{ env: { SMALLSERVD_SERVICES__ECHO_LAN: 'null' } }],
  ])('works with %j', async (more) => {
    expect(await idleTimeouts(more)).toEqual({ echo: 120 });
  });

  test('allows later settings to define it again', async () => {
    const sets = ['services.echo=null', 'services.echo.listen=tcp://:0', 'services.echo.idleTimeout=4s'];
    const { config } = await load(text, { sets });
    expect(config.services.map(({ name, stream }) => [name, stream.idleTimeoutMs, stream.stallTimeoutMs])).toEqual([
      ['echo-lan', 180_000, 30_000],
      ['echo', 4000, 30_000],
    ]);
  });

  test('fails if it does not exist', async () => {
    expect(await problemsOf(text, { sets: ['services.ecko=null'] })).toEqual([
      '--set services.ecko: there is no service with this name to remove; did you mean echo?',
    ]);
  });
});

test.each([
  [['workers'], 'SMALLSERVD_WORKERS'],
  [['shutdown', 'grace'], 'SMALLSERVD_SHUTDOWN__GRACE'],
  [['services', 'echo-lan', 'maxConnectionsPerSource'], 'SMALLSERVD_SERVICES__ECHO_LAN__MAX_CONNECTIONS_PER_SOURCE'],
])('names the variable of %j as %s', (path, name) => {
  expect(environmentName(path)).toBe(name);
});
