import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServices } from '../../../../src/server/config/create-services.ts';
import { type LoadOptions, loadConfig } from '../../../../src/server/config/load.ts';
import { printYaml } from '../../../../src/server/config/print.ts';
import { ConfigError } from '../../../../src/service.ts';
import { FakeClient } from '../../../support/fake-client.ts';
import { FakeContext } from '../../../support/fake-context.ts';
import { makeFifo, oddFiles } from '../../../support/odd-files.ts';
import { load, problemsOf, sourceOf } from './sources.ts';

let directory = '';

const valid = `export default {
  name: 'greeter', summary: 'greets', maxAmplification: 1.5, udpHazard: 'it greets',
  options: {
    greeting: { doc: 'What it says.', format: 'string', default: 'Hello' },
    maxLength: { doc: 'How much.', format: 'size', default: 1024 },
    style: { doc: 'How.', format: ['plain', 'loud'], default: 'plain' },
    file: { doc: 'From where.', format: 'file', default: null },
  },
  create: () => ({}),
};`;

function moduleOf(change: string): string {
  return `const module = { name: 'x', summary: 's', options: {}, create: () => ({}) };\n${change};\nexport default module;`;
}

const files: Record<string, string> = {
  'valid.mjs': valid,
  'throws.mjs': 'throw new Error("broken\\nin two lines")',
  'syntax.mjs': 'export default {',
  'empty.mjs': '',
  'no-name.mjs': moduleOf('module.name = "Not A Word"'),
  'no-summary.mjs': moduleOf('delete module.summary'),
  'no-create.mjs': moduleOf('delete module.create'),
  'no-options.mjs': moduleOf('delete module.options'),
  'hazard.mjs': moduleOf('module.udpHazard = true'),
  'transport.mjs': moduleOf('module.transport = "sctp"'),
  'udp-only.mjs': moduleOf('module.transport = "udp"'),
  'amplification.mjs': moduleOf('module.maxAmplification = "2"'),
  'option-name.mjs': moduleOf('module.options = { "max length": {} }'),
  'option-default.mjs': moduleOf('module.options = { default: {} }'),
  'option-doc.mjs': moduleOf('module.options = { a: {} }'),
  'option-format.mjs': moduleOf('module.options = { a: { doc: "d", format: "number", default: 1 } }'),
  'option-value.mjs': moduleOf('module.options = { a: { doc: "d", format: "count", default: "many" } }'),
  'option-list.mjs': moduleOf('module.options = { a: { doc: "d", format: "ports", default: 5 } }'),
  'node_modules/esm-only/package.json':
    '{ "type": "module", "exports": { ".": { "import": "./main.js" }, "./sub": "./sub.js" } }',
  'node_modules/esm-only/main.js': moduleOf('module.name = "esm"'),
  'node_modules/esm-only/sub.js': moduleOf('module.name = "sub"'),
  'node_modules/@scope/plain/package.json': '{ "main": "main.cjs" }',
  'node_modules/@scope/plain/main.cjs':
    'module.exports = { name: "plain", summary: "s", options: {}, create: () => ({}) };',
};

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-modules-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text);
  }
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What is said of a module, without its place. */
async function messageOf(module: string): Promise<string | undefined> {
  const [problem] = await problemsOf(withModule(module), { directory });
  return problem?.replace(/^.* services\.mine\.module: /, '');
}

function fifoIn(place: string): string {
  return `${join(place, 'package.json')}: it is a FIFO or pipe, not a regular file`;
}

function withModule(module: string, rest = ''): string {
  return `services: { mine: { listen: tcp://:0, module: ${JSON.stringify(module)}${rest} } }`;
}

describe('a module', () => {
  test.each([
    ['./valid.mjs', 'greeter'],
    ['esm-only', 'esm'],
    ['esm-only/sub', 'sub'],
    ['@scope/plain', 'plain'],
  ])('is imported: %s', async (module, type) => {
    const { config, modules } = await load(withModule(module), { directory });
    expect(config.services[0]?.type).toBe(type);
    expect(modules.get('mine')?.name).toBe(type);
    expect(config.services[0]?.moduleUrl).toMatch(/^file:\/\/\//);
  });

  test('is refused without blocking if it or its manifest is oversized or not a regular file', async () => {
    const odd = join(directory, 'odd');
    mkdirSync(odd);
    for (const { name, path, message } of await oddFiles(odd)) {
      const isMissing = message.includes('no such file') || message.includes('not a directory');
      const said = isMissing ? `there is no file ${path}` : `${path}: ${message}`;
      expect(await messageOf(path), name).toBe(`${JSON.stringify(path)}: ${said}`);
    }
    const fifos = ['node_modules/fifo-manifest/package.json', 'node_modules/fifo-main/main.mjs'];
    for (const fifo of fifos) {
      mkdirSync(dirname(join(directory, fifo)));
      makeFifo(join(directory, fifo));
    }
    writeFileSync(join(directory, 'node_modules/fifo-main/package.json'), '{ "exports": "./main.mjs" }');
    for (const fifo of fifos) {
      const [, name = ''] = fifo.split('/');
      const said = `${join(directory, fifo)}: it is a FIFO or pipe, not a regular file`;
      expect(await messageOf(name)).toBe(`"${name}": ${said}`);
    }
  });

  test('is refused if its package.json is not a regular file, even through a symbolic link', async () => {
    const odd = join(directory, 'with-fifo');
    mkdirSync(join(odd, 'below'), { recursive: true });
    makeFifo(join(odd, 'package.json'));
    const [module, link] = [join(odd, 'below/mine.js'), join(directory, 'linked.js')];
    copyFileSync(join(directory, 'valid.mjs'), module);
    symlinkSync(module, link);
    for (const path of [module, link]) {
      const said = `${join(odd, 'package.json')}: it is a FIFO or pipe, not a regular file`;
      expect(await messageOf(path)).toBe(`${JSON.stringify(path)}: ${said}`);
    }
  });

  test('is refused without blocking if resolving its package reads a FIFO as package.json', async () => {
    const here = join(directory, 'a-package');
    const below = join(here, 'node_modules/plain/sub');
    mkdirSync(below, { recursive: true });
    writeFileSync(join(here, 'node_modules/plain/package.json'), '{}');
    makeFifo(join(below, 'package.json'));
    expect(await problemsOf(withModule('plain/sub'), { directory: here })).toEqual([
      expect.stringContaining(fifoIn(below)),
    ]);
    makeFifo(join(here, 'package.json'));
    expect(await problemsOf(withModule('plain'), { directory: here })).toEqual([expect.stringContaining(fifoIn(here))]);
  });

  test('has its options validated, defaulted and resolved relative to the config', async () => {
    const text = withModule('./valid.mjs', ', options: { style: loud, file: a.txt, maxLength: 4KiB }');
    const { config } = await load(text, { directory });
    expect(config.services[0]).toMatchObject({
      moduleUrl: pathToFileURL(join(directory, 'valid.mjs')).href,
      datagram: { maxAmplification: 1.5 },
      options: { greeting: 'Hello', maxLength: 4096, style: 'loud', file: join(directory, 'a.txt') },
    });
    const sets = ['services.mine.options.maxLength=1KiB'];
    const env = { SMALLSERVD_SERVICES__MINE__OPTIONS__MAX_LENGTH: '2KiB' };
    expect((await load(text, { directory, env })).config.services[0]?.options['maxLength']).toBe(2048);
    expect((await load(text, { directory, env, sets })).config.services[0]?.options['maxLength']).toBe(1024);
  });

  test('survives printing', async () => {
    const first = await load(withModule('./valid.mjs', ', options: { style: loud }'), { directory });
    expect((await load(printYaml(first.printed))).config).toEqual(first.config);
  });

  test('keeps its options unchanged if it is not imported', async () => {
    const source = sourceOf(withModule('./throws.mjs', ', options: { a: [1, { b: true }] }'), { directory });
    const loaded = await loadConfig(source, { importModules: false });
    expect(loaded.modules.size).toBe(0);
    expect(loaded.config.services[0]).toMatchObject({ type: 'mine', options: { a: [1, { b: true }] } });
    expect(printYaml(loaded.printed)).toContain('    options:\n      a:\n        - 1\n        - b: true\n');
    expect(await problemsOf(withModule('./throws.mjs', ', options: 1, lsten: 2'), { directory }, false)).toEqual([
      'test.yaml:1:72 services.mine.options is not a mapping: expected the options of the module',
      'test.yaml:1:75 services.mine.lsten: unknown key; did you mean listen?',
    ]);
  });

  test.each([
    ['./throws.mjs', 'the import failed: Error: broken in two lines'],
    ['./empty.mjs', 'not a service module: its default export is not an object'],
    ['./no-name.mjs', 'not a service module: name is not a word such as my-service'],
    ['./no-summary.mjs', 'not a service module: summary is not text'],
    ['./no-create.mjs', 'not a service module: create is not a function'],
    ['./no-options.mjs', 'not a service module: options is not an object'],
    ['./hazard.mjs', 'not a service module: udpHazard is not text'],
    ['./transport.mjs', 'not a service module: transport is not tcp or udp'],
    ['./amplification.mjs', 'not a service module: maxAmplification is not a number'],
    ['./option-name.mjs', 'not a service module: options.max length: the name is not a word such as maxLength'],
    ['./option-default.mjs', 'not a service module: options.default: the name is not a word such as maxLength'],
    ['./option-doc.mjs', 'not a service module: options.a: doc is not text'],
    [
      './option-format.mjs',
      'not a service module: options.a: format is not a list of words or one of string, boolean, count, ratio, port, ' +
        'ports, duration, size, cidrs, file, timezone, strings',
    ],
    ['./option-value.mjs', 'not a service module: options.a: default does not match format'],
    ['./option-list.mjs', 'not a service module: options.a: default does not match format'],
    ['missing', 'there is no package missing in the node_modules of DIRECTORY or of a directory above it'],
    ['esm-only/other', 'the package esm-only does not export esm-only/other'],
    ['./missing.mjs', 'there is no file DIRECTORY/missing.mjs'],
    ['.', 'expected a path such as ./mine.js, or the name of a package'],
    ['node:fs', 'expected a path such as ./mine.js, or the name of a package'],
  ])('is refused: %s', async (module, message) => {
    const expected = `test.yaml:1:47 services.mine.module: "${module}": ${message.replace('DIRECTORY', directory)}`;
    expect(await problemsOf(withModule(module), { directory })).toEqual([expected]);
  });

  test.each<[string, readonly string[]]>([
    [', options: { style: quiet }', ['test.yaml:1:80 services.mine.options.style: "quiet" is not one of plain, loud']],
    [', options: { stile: loud }', ['test.yaml:1:73 services.mine.options.stile: unknown key; did you mean style?']],
    [', style: loud', ['test.yaml:1:62 services.mine.style: unknown key: options of a module go under "options"']],
    [
      ', options: 5',
      ['test.yaml:1:71 services.mine.options: 5 is not a mapping: expected the keys greeting, maxLength, style, file'],
    ],
  ])('is refused with invalid options:%s', async (rest, expected) => {
    expect(await problemsOf(withModule('./valid.mjs', rest), { directory })).toEqual(expected);
  });

  test('is refused if it has a syntax error', async () => {
    const [problem] = await problemsOf(withModule('./syntax.mjs'), { directory });
    expect(problem).toMatch(
      /^test\.yaml:1:47 services\.mine\.module: "\.\/syntax\.mjs": the import failed: \w*Error: ./,
    );
  });

  test('may have no options', async () => {
    expect(await problemsOf(withModule('esm-only', ', options: {}'), { directory })).toEqual([]);
  });

  test('needs exposeUdp if it has a UDP hazard', async () => {
    const [problem] = await problemsOf(withModule('./valid.mjs').replace('tcp', 'udp'), { directory });
    expect(problem).toContain('udp://:0 exposes UDP to public addresses, where greeter can be abused: it greets.');
  });
});

describe('a module that answers over one transport only', () => {
  test('may not listen on another', async () => {
    expect(await problemsOf(withModule('./udp-only.mjs'), { directory })).toEqual([
      'test.yaml:1:29 services.mine.listen[0]: tcp://:0: x answers over UDP only: expected a UDP address',
    ]);
    expect(await problemsOf(withModule('./udp-only.mjs').replace('tcp', 'udp'), { directory })).toEqual([]);
  });
});

describe('creating services on trial', () => {
  test('reports problems in their files together with all others', async () => {
    const source = sourceOf(
      'services:\n  echo: { listen: nowhere }\n  qotd: { listen: tcp://:0, file: /none/q.txt }\n',
    );
    const loading = loadConfig(source, { importModules: true, trialContext: () => new FakeContext() });
    await expect(loading).rejects.toThrow(
      /^test\.yaml:2:19 services\.echo\.listen.*\ntest\.yaml:3:35 services\.qotd\.file: \/none\/q\.txt cannot be read: no such file$/,
    );
  });
});

const namingContext: LoadOptions['trialContext'] = (_service, services) => {
  const context = new FakeContext();
  for (const [name, service] of services) context.services.set(name, service);
  return context;
};

test('a service may name any other service of the config, even one with problems, but no unknown one', async () => {
  const source = sourceOf(
    'services:\n  mux: { type: tcpmux, listen: tcp://:0, services: [echo, nothing] }\n  echo: { listen: nowhere }\n',
  );
  const loading = loadConfig(source, { importModules: true, trialContext: namingContext });
  await expect(loading).rejects.toThrow(
    /^test\.yaml:2:52 services\.mux\.services: "nothing" is not a service of this config\ntest\.yaml:3:19 services\.echo\.listen.*$/,
  );
});

describe('createServices', () => {
  const text = 'services:\n  echo: { listen: tcp://:0 }\n  qotd: { listen: tcp://:0, choice: daily }\n';

  test('creates each service with its own context', async () => {
    const loaded = await load(text);
    const asked: string[] = [];
    const created = await createServices(loaded, ({ name }) => {
      asked.push(name);
      return new FakeContext();
    });
    expect([...created.keys()]).toEqual(['echo', 'qotd']);
    expect(asked).toEqual(['echo', 'qotd']);
  });

  test('lets a service use another only after all are created', async () => {
    const loaded = await load(text);
    let hand: (() => unknown) | undefined;
    const contextOf: Parameters<typeof createServices>[1] = (_service, services) => {
      hand = () => services.get('echo')?.stream(new FakeClient());
      expect([...services.keys()]).toEqual(['echo', 'qotd']);
      if (asked === 0) expect(hand).toThrow('echo is not created yet');
      asked += 1;
      return new FakeContext();
    };
    let asked = 0;
    await createServices(loaded, contextOf);
    expect(asked).toBe(2);
    expect(hand?.()).toMatchObject({ data: expect.any(Function) });
  });

  test('rejects a promise of a service that clients are handed to', async () => {
    const loaded = await load(text);
    const [echo] = loaded.modules.values();
    if (echo === undefined) throw new Error('a service is expected');
    const modules = new Map([
      ...loaded.modules,
      ['echo', { ...echo, create: () => ({ stream: () => Promise.resolve() }) as never }],
    ]);
    let hand: (() => unknown) | undefined;
    await createServices({ ...loaded, modules }, (_service, services) => {
      hand = () => services.get('echo')?.stream(new FakeClient());
      return new FakeContext();
    });
    expect(hand).toThrow('a service must not be asynchronous here');
  });

  async function failing(
    error: unknown,
  ): Promise<{ readonly result: Promise<unknown>; readonly closed: readonly string[] }> {
    const loaded = await load(text);
    const closed: string[] = [];
    const [echo, qotd] = loaded.modules.values();
    if (echo === undefined || qotd === undefined) throw new Error('both services are expected');
    const modules = new Map([
      ['echo', { ...echo, create: () => ({ close: () => void closed.push('echo') }) }],
      [
        'qotd',
        {
          ...qotd,
          create: () => {
            throw error;
          },
        },
      ],
    ]);
    return { result: createServices({ ...loaded, modules }, () => new FakeContext()), closed };
  }

  test.each([
    [
      'in a file',
      new ConfigError('is too long', { option: 'file', file: '/q.txt', line: 7 }),
      '/q.txt:7 services.qotd.file is too long',
    ],
    [
      'of a file',
      new ConfigError('is missing', { option: 'file', file: '/q.txt' }),
      'test.yaml:3:3 services.qotd.file: /q.txt is missing',
    ],
    ['of an option', new ConfigError('is odd', { option: 'choice' }), 'test.yaml:3:37 services.qotd.choice is odd'],
    ['of the service', new ConfigError('does not suit'), 'test.yaml:3:9 services.qotd does not suit'],
    ['in a sentence', new ConfigError('the mast is down'), 'test.yaml:3:9 services.qotd: the mast is down'],
  ])('reports a problem %s as a config error and closes created services', async (_name, error, message) => {
    const { result, closed } = await failing(error);
    await expect(result).rejects.toMatchObject({ code: 'CONFIG_INVALID', message });
    expect(closed).toEqual(['echo']);
  });

  test('reports any other failure as a service error', async () => {
    const { result, closed } = await failing(new Error('no memory'));
    await expect(result).rejects.toMatchObject({
      code: 'SERVICE_NOT_CREATED',
      message: 'services.qotd cannot be created: no memory',
    });
    expect(closed).toEqual(['echo']);
  });
});
