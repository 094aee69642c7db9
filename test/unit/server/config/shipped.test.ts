import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, readConfigSource } from '../../../../src/server/config/load.ts';
import { configReference } from '../../../../scripts/generate/config-reference.ts';
import { commonSchema, ownSchema } from '../../../../src/server/config/schema.ts';
import { services } from '../../../../src/services/index.ts';

/** Only a config of its own serves the others: docs/decisions/0020-one-service-hands-a-client-to-another.md. */
const shippedServices = services.filter(({ name }) => !['tcpmux', 'finger', 'ident', 'envelope'].includes(name));

const root = fileURLToPath(new URL('../../../..', import.meta.url));

async function addresses(file: string | undefined): Promise<Record<string, readonly string[]>> {
  const { config } = await loadConfig(await readConfigSource(file, {}, []), { importModules: true });
  return Object.fromEntries(config.services.map(({ name, listen }) => [name, listen.map(({ text }) => text)]));
}

/** What can be served on a public address: some would amplify over UDP, and stamp has nothing to say over TCP. */
function transportsOf(name: string): readonly string[] {
  if (name === 'stamp') return ['udp'];
  return ['echo', 'discard', 'daytime', 'time'].includes(name) ? ['tcp', 'udp'] : ['tcp'];
}

describe('the shipped configs', () => {
  test('listen on localhost by default', async () => {
    const ports = { daytime: 1200, echo: 1201, discard: 1209, systat: 1211, qotd: 1217, chargen: 1219, time: 1237 };
    const expected = Object.entries(ports).map(([name, port]) => [
      name,
      [`tcp://localhost:${port}`, `udp://localhost:${port}`],
    ]);
    expect(await addresses(undefined)).toEqual({ ...Object.fromEntries(expected), stamp: ['udp://localhost:2062'] });
  });

  test('listen on the IANA ports of all interfaces in well-known.yaml', async () => {
    const expected = shippedServices.map(({ name, port }) => [
      name,
      transportsOf(name).map((transport) => `${transport}://*:${port}`),
    ]);
    expect(await addresses(`${root}config/well-known.yaml`)).toEqual(Object.fromEntries(expected));
  });

  test('show in well-known.yaml how to serve the others', async () => {
    const file = `${root}config/well-known.yaml`;
    const text = readFileSync(file, 'utf8').replaceAll(/^ {2}# (tcpmux|finger|ident):/gm, '  $1:');
    const { config } = await loadConfig({ ...(await readConfigSource(file, {}, [])), text }, { importModules: true });
    const ports = config.services.map(({ name, listen: [first] }) => [name, first?.text.split(':').at(-1)]);
    const withPorts = services.filter(({ port }) => port !== undefined);
    expect(ports).toEqual(expect.arrayContaining(withPorts.map(({ name, port }) => [name, String(port)])));
  });

  test('use sockets passed by systemd in sockets.yaml', async () => {
    const expected = shippedServices.map(({ name }) => [
      name,
      transportsOf(name).map((transport) => `systemd:${name}-${transport}`),
    ]);
    expect(await addresses(`${root}config/sockets.yaml`)).toEqual(Object.fromEntries(expected));
  });

  test.each([
    ['smallservd.yaml', 'tcp://localhost:9013'],
    ['well-known.yaml', 'tcp://localhost:9013'],
    ['sockets.yaml', 'systemd:admin'],
  ])('list every key in %s with its default', async (file, adminListen) => {
    const { workers, log, shutdown, reload, admin, defaults, ...rest } = parse(
      readFileSync(`${root}config/${file}`, 'utf8'),
    ) as Record<string, unknown>;
    expect(Object.keys(rest)).toEqual(['services']);
    const plain = 'services: { echo: { listen: tcp://:0 } }';
    const environment = { directory: dirname(root), env: {}, sets: [] };
    const spoken = { workers, log, shutdown, reload, admin, defaults, services: { echo: { listen: 'tcp://:0' } } };
    const said = await loadConfig(
      { ...environment, name: 'said', text: undefined, tree: spoken },
      { importModules: true },
    );
    const silent = await loadConfig({ ...environment, name: 'silent', text: plain }, { importModules: true });
    // Off unless a config says otherwise; the shipped ones do.
    expect(said.config.admin.listen?.text).toBe(adminListen);
    expect(said.config).toEqual({ ...silent.config, admin: said.config.admin });
  });
});

describe('the config reference', () => {
  const reference = readFileSync(`${root}docs/CONFIG.md`, 'utf8');

  test('matches the schema (run npm run docs to update)', () => {
    expect(reference).toBe(configReference());
  });

  test('lists every key and option', () => {
    const keys = [commonSchema, ownSchema, ...services.map(({ options }) => options)].flatMap((each) =>
      Object.keys(each),
    );
    expect(keys.length).toBeGreaterThan(25);
    expect(keys.filter((key) => !reference.includes(`| \`${key}\`<br>`) && !reference.includes(`| \`${key}.`))).toEqual(
      [],
    );
  });

  test('has no built-in service option that hides a common key', () => {
    const common = new Set(Object.keys({ ...commonSchema, ...ownSchema }));
    const hidden = services.flatMap(({ name, options }) =>
      Object.keys(options)
        .filter((key) => common.has(key))
        .map((key) => `${name}.${key}`),
    );
    expect(hidden).toEqual([]);
  });
});

describe('an unreadable config', () => {
  test.each([
    ['/nonexistent/x.yaml', 'cannot read the config /nonexistent/x.yaml: no such file'],
    ['/', 'cannot read the config /: it is a directory'],
  ])('is rejected: %s', async (file, message) => {
    await expect(readConfigSource(file, {}, [])).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message,
      exitCode: 78,
    });
  });

  test('is rejected if it is not UTF-8 text', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-config-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'config');
    writeFileSync(file, new Uint8Array([0x61, 0xff]));
    await expect(readConfigSource(file, {}, [])).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message: `cannot read the config ${file}: it is not UTF-8 text`,
      exitCode: 78,
    });
  });

  test('readConfigSource returns a source that can be cloned and holds only SMALLSERVD variables', async () => {
    const source = await readConfigSource(undefined, { SMALLSERVD_WORKERS: '0', SECRET: 'x' }, ['log.level=warn']);
    expect(source.env).toEqual({ SMALLSERVD_WORKERS: '0' });
    expect(structuredClone(source)).toEqual(source);
    const { config } = await loadConfig(structuredClone(source), { importModules: true });
    expect(config).toMatchObject({ workers: 0, log: { level: 'warn' } });
  });
});
