import { expect, test } from 'vitest';
import { printYaml, withoutDefaults } from '../../../../src/server/config/print.ts';
import { loadConfig, readConfigSource } from '../../../../src/server/config/load.ts';
import { load, sourceOf } from './sources.ts';

const rich = `
workers: 3
user: www-data
log: { level: debug, connections: off, file: logs/small.log }
shutdown: { grace: 0s }
reload: { grace: 1h }
admin: { listen: "unix:///run/admin.sock?owner=www-data", hosts: [time.example] }
defaults: { idleTimeout: never, maxBytes: 4MiB, exempt: [] }
services:
  echo:
    listen: ["tcp://[::1]:7", "udp4://10.0.0.1:7", "unix:///run/a b%3F.sock?group=7&mode=0606", "fd://3", "systemd:echo.socket"]
    allow: [10.0.0.0/8, "::1"]
    connectionRate: { perSecond: 1, burst: 2 }
    allowSourcePorts: [53, 123]
    keepAlive: { enabled: false, delay: 90s }
  clock: { type: daytime, listen: "tcp://:0", zone: UTC, format: nist }
  qotd: { listen: tcp://:0, file: quotes.txt, choice: daily }
  systat: { listen: udp://*:11, exposeUdp: true, show: text, text: "yes" }
  chargen: { listen: tcp://:0 }
`;

test('prints an equivalent config', async () => {
  const first = await load(rich);
  const again = await load(printYaml(first.printed));
  expect(again.config).toEqual(first.config);
  expect(printYaml(again.printed)).toBe(printYaml(first.printed));
});

test('prints JSON that loads as an equivalent config', async () => {
  const first = await load(rich);
  const json = JSON.parse(JSON.stringify(first.printed)) as unknown;
  const again = await loadConfig({ ...sourceOf(''), text: undefined, tree: json }, { importModules: true });
  expect(again.config).toEqual(first.config);
});

test('prints the shipped config as an equivalent config', async () => {
  const first = await loadConfig(await readConfigSource(undefined, {}, []), { importModules: true });
  expect((await load(printYaml(first.printed))).config).toEqual(first.config);
});

test('prints an equivalent config with only the values that differ from the defaults', async () => {
  const first = await load(rich);
  const brief = withoutDefaults(first);
  expect((await load(printYaml(brief))).config).toEqual(first.config);
  const small = await load(
    'defaults: { backlog: 7 }\nlog: { level: info }\nservices: { echo: { listen: tcp://:0, noDelay: true }, a: { type: echo, listen: tcp://:0 } }',
  );
  expect(withoutDefaults(small)).toEqual({
    services: {
      echo: { listen: ['tcp://:0'], backlog: 7 },
      a: { type: 'echo', listen: ['tcp://:0'], backlog: 7 },
    },
  });
});

test('prints every value, with its unit', async () => {
  const loaded = await load('workers: 1\nservices: { daytime: { listen: tcp://localhost:1200 } }');
  expect(printYaml(loaded.printed)).toBe(`workers: 1
sockets: auto
user: null
group: null
log:
  level: info
  connections: info
  file: null
shutdown:
  grace: 10s
reload:
  grace: 10m
admin:
  listen: null
  hosts: []
services:
  daytime:
    type: daytime
    listen:
      - tcp://localhost:1200
    allow: []
    deny: []
    exempt:
      - 127.0.0.0/8
      - ::1/128
    dryRun: false
    proxyProtocol:
      from: []
      exempt: []
      timeout: 5s
    idleTimeout: 5m
    stallTimeout: 30s
    minRate: 1KiB
    maxLifetime: 24h
    lingerTimeout: 5s
    maxBytes: 1TiB
    maxConnections: 1000
    maxConnectionsPerSource: 100
    networkShare:
      ipv6Prefix56: 25%
      ipv6Prefix48: 50%
    connectionRate:
      perSecond: 100
      burst: 200
    streamPrefix:
      ipv4: 32
      ipv6: 64
    keepAlive:
      enabled: true
      delay: 60s
    noDelay: true
    backlog: 511
    freebind: false
    datagramRate:
      perSecond: 200
      burst: 400
    datagramServiceRate:
      perSecond: 20000
      burst: 40000
    datagramPrefix:
      ipv4: 24
      ipv6: 56
    maxAmplification: 2
    allowSourcePorts: []
    receiveBuffer: 4MiB
    fragment: false
    exposeUdp: false
    format: rfc867
    zone: null
    whenUnsynchronized: answer
`);
});
