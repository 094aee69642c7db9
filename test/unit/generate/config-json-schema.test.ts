import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from '../../../scripts/generate/config-json-schema.ts';
import { commonSchema, daemonSchema } from '../../../src/server/config/schema.ts';
import { load } from '../server/config/sources.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
// `strict` refuses what the schema may well say: types and bounds of one alternative next to another's.
const validate = new Ajv2020({ allErrors: true, strictTypes: false }).compile(configJsonSchema());

function isValid(text: string): boolean {
  return validate(parse(text));
}

test('the shipped schema is up to date (otherwise run npm run docs)', () => {
  expect(JSON.parse(readFileSync(`${root}config/smallservd.schema.json`, 'utf8'))).toEqual(configJsonSchema());
});

test.each(['config/smallservd.yaml', 'config/sockets.yaml', 'config/well-known.yaml'])(
  '%s refers to the schema',
  (file) => {
    expect(readFileSync(root + file, 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\/smallservd\.schema\.json\n/,
    );
  },
);

describe('accepts', () => {
  test.each([
    'config/smallservd.yaml',
    'config/sockets.yaml',
    'config/well-known.yaml',
    'examples/whatismyip/smallservd.yaml',
    'deploy/kubernetes/smallservd.yaml',
  ])('%s', (file) => {
    expect(isValid(readFileSync(root + file, 'utf8')), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each([
    'services: { echo: { listen: tcp://localhost:7 } }',
    'services: { echo: { listen: ["tcp://localhost:7", "udp4://:7", "unix:///run/a", "fd://3", "systemd:a"] } }',
    'services: { clock: { type: daytime, listen: tcp://:0, format: unix } }',
    'services: { daytime: { listen: tcp://:0, zone: null, maxBytes: unlimited, idleTimeout: never, backlog: "5" } }',
    'services: { mine: { module: ./mine.js, listen: tcp://:0, options: { a: [1] } } }',
    'services: { echo: { module: ./mine.js, listen: tcp://:0, options: {} } }',
    'services: { echo: { listen: tcp://:0 } }\nworkers: 0\nuser: 1000\nadmin: { listen: null, hosts: [a] }',
    'services: { echo: { listen: tcp://:0, keepAlive: { delay: 90s }, allow: [10.0.0.0/8], exposeUdp: "true" } }',
  ])('%s, as the daemon does', async (text) => {
    expect(isValid(text), JSON.stringify(validate.errors)).toBe(true);
    if (!text.includes('mine.js')) await expect(load(text)).resolves.toBeDefined();
  });
});

describe('refuses', () => {
  test.each([
    'workers: 1',
    'services: {}',
    'services: { Echo: { type: echo, listen: tcp://:0 } }',
    'services: { mine: { listen: tcp://:0 } }',
    'services: { mine: { type: ecko, listen: tcp://:0, format: unix } }',
    'services: { echo: { listen: tcp://:0, format: unix } }',
    'services: { clock: { type: daytime, listen: tcp://:0, style: unix } }',
    'services: { daytime: { type: echo, listen: tcp://:0, format: unix } }',
    'services: { echo: { listen: tcp://:0, options: {} } }',
    'services: { echo: { listen: tcp://:0, type: echo, module: ./a.js } }',
    'services: { echo: { listen: tcp://:0, idleTimeout: 10 } }',
    'services: { echo: { listen: tcp://:0, maxConnections: 0 } }',
    'services: { echo: { listen: tcp://:0, keepAlive: { dilay: 90s } } }',
    'services: { echo: { listen: [http://a] } }',
    'services: { echo: { listen: tcp://:0 } }\nworkers: many',
    'services: { echo: { listen: tcp://:0 } }\nlog: { level: loud }',
    'services: { echo: { listen: tcp://:0 } }\nfrobnicate: 1',
    'services: { echo: { listen: tcp://:0 } }\ndefaults: { listen: tcp://:0 }',
  ])('%s, as the daemon does', async (text) => {
    expect(isValid(text)).toBe(false);
    await expect(load(text)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

test('the schema contains the documentation of the keys', () => {
  const text = JSON.stringify(configJsonSchema());
  for (const { doc } of [daemonSchema.workers, daemonSchema.log.file, commonSchema.proxyProtocol.timeout])
    expect(text).toContain(JSON.stringify(doc));
});
