import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig, readConfigSource } from '../../src/server/config/load.ts';
import type { LoadedConfig } from '../../src/server/config/loaded-config.ts';
import { configReference } from '../../scripts/generate/config-reference.ts';
import { commonSchema, daemonSchema, ownSchema } from '../../src/server/config/schema.ts';
import { keysOf as keysOfSection, type Section } from '../../src/server/config/section.ts';
import { newServiceCounters } from '../../src/server/counters.ts';
import { type Daemon, startDaemon } from '../../src/index.ts';
import { ConfigInvalidError } from '../../src/errors.ts';
import { exitCodes } from '../../src/exit-codes.ts';
import { findService, services } from '../../src/services/index.ts';
import { blocksOf, documents, filesIn, proseOf, read, root, sources, tableAfter } from './files.ts';

const readme = read('README.md');
const logs = read('docs/LOGS.md');

/** Where modules of the documents lie, beside this package under its own name. */
const directory = mkdtempSync(join(tmpdir(), 'smallservd-documents-'));
mkdirSync(join(directory, 'node_modules'));
symlinkSync(root, join(directory, 'node_modules/smallservd'));
afterAll(() => rmSync(directory, { recursive: true }));

function load(text: string, more: { env?: Record<string, string>; sets?: string[] } = {}): Promise<LoadedConfig> {
  const source = { name: 'bad.yaml', directory: directory, text, env: {}, sets: [], ...more };
  return loadConfig(source, { importModules: false });
}

function shipped(env: Record<string, string>, sets: readonly string[]): Promise<LoadedConfig> {
  return readConfigSource(undefined, env, sets).then((source) => loadConfig(source, { importModules: true }));
}

describe('links', () => {
  test.each(documents)('in %s have existing targets', (path) => {
    const text = read(path);
    const links = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const local = links.filter((target) => !/^https?:/.test(target)).map((target) => target.split('#')[0] ?? '');
    expect(local.filter((target) => !existsSync(resolve(root, dirname(path), target)))).toEqual([]);
  });

  test('reach every document from the README', () => {
    const reached = new Set<string>();
    const waiting = ['README.md'];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (reached.has(path) || !path.endsWith('.md')) continue;
      reached.add(path);
      for (const [, target = ''] of read(path).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
        if (!target.includes('://')) waiting.push(relative(root, resolve(root, dirname(path), target)));
      }
    }
    expect(documents.filter((path) => !reached.has(path))).toEqual([]);
  });

  test('and paths in code spans have existing targets', () => {
    const paths = /^(?:\.ci|bench|config|deploy|docs|examples|scripts|src|systemd|test)\/(?!.*\bNAME\b)[\w./-]*$/;
    for (const path of documents) {
      const spans = spansOf(path).filter((span) => paths.test(span));
      expect(
        spans.filter((span) => !existsSync(join(root, span))),
        path,
      ).toEqual([]);
    }
  });
});

describe('config examples in the documents', () => {
  const examples = documents.flatMap((path) =>
    blocksOf(read(path))
      .filter(({ language, mark }) => language === 'yaml' && mark === undefined)
      .map(({ text }, index) => ({ name: `${path} ${index + 1}`, text })),
  );

  test.each(examples)('$name is valid', async ({ text }) => {
    // Modules that a document shows stand beside it; here they only have to be there.
    for (const [, name = ''] of text.matchAll(/module: \.\/(\S+\.js)/g)) writeFileSync(join(directory, name), '');
    expect((await load(text)).config.services.length).toBeGreaterThan(0);
  });

  test('include bad.yaml in the README, which fails with the errors shown', async () => {
    const bad = blocksOf(readme).find(({ mark }) => mark === 'bad.yaml');
    const error: unknown = await load(bad?.text ?? '').catch((refusal: unknown) => refusal);
    if (!(error instanceof ConfigInvalidError)) throw new Error('it is not refused', { cause: error });
    const lines = error.message.split('\n').map((line) => `smallservd: ${line}\n`);
    expect(readme).toContain(`$ npx smallservd check --config bad.yaml\n${lines.join('')}$ echo $?\n78\n`);
  });

  test('have valid --set options and variables in shell blocks', async () => {
    const lines = documents
      .flatMap((path) => blocksOf(read(path)))
      .filter(({ language }) => language === 'sh')
      .flatMap(({ text }) => text.split('\n'));
    const sets = lines.flatMap((line) => [...line.matchAll(/--set (\S+)/g)].map(([, set = '']) => set));
    const env = lines.flatMap((line) =>
      [...line.matchAll(/\b(SMALLSERVD_\w+)=(\S+)/g)].map(([, name = '', value = '']): [string, string] => [
        name,
        value,
      ]),
    );
    expect(sets.length).toBeGreaterThan(0);
    expect(env.length).toBeGreaterThan(0);
    await shipped(Object.fromEntries(env), sets);
  });

  test('show an answer of envelope with exactly its fields', () => {
    const [answer = ''] = /^\{"request":.*\}$/m.exec(read('docs/KUBERNETES.md')) ?? [];
    const fields = /Any of (.*)\./.exec(findService('envelope')?.options.fields?.doc ?? '')?.[1];
    expect(Object.keys(JSON.parse(answer) as object).join(', ')).toBe(fields);
  });

  test('match the generated reference docs/CONFIG.md', () => {
    expect(read('docs/CONFIG.md')).toBe(configReference());
  });
});

describe('names in the documents', () => {
  const daemonKeys = keysOf(daemonSchema);
  const serviceKeys = [
    ...keysOf({ ...commonSchema, ...ownSchema }),
    ...services.flatMap(({ options }) => Object.keys(options)),
  ];
  const everything = [...sources, ...filesIn('deploy')].map(read).join('\n');

  test.each(documents)('are existing config paths in %s', (path) => {
    const dotted = spansOf(path).filter((span) => /^(?:log|shutdown|defaults|services)\.(?!ts$)[\w.]+$/.test(span));
    const unknown = dotted.filter((span) => {
      if (daemonKeys.includes(span)) return false;
      const key = /^(?:defaults|services\.[\w-]+)\.(.+)$/.exec(span)?.[1] ?? '';
      return !serviceKeys.some((known) => known === key || known.startsWith(`${key}.`));
    });
    expect(unknown).toEqual([]);
  });

  test.each(documents)('in camel case in %s occur in the schema, the source or the manifests', (path) => {
    const words = spansOf(path).flatMap((span) => span.match(/(?<![\w/.-])[a-z]+(?:[A-Z][a-z]+)+\b/g) ?? []);
    expect(words.filter((word) => !new RegExp(`\\b${word}\\b`).test(everything))).toEqual([]);
  });

  test('are existing subcommands and options', () => {
    const help = [[], ['run'], ['check'], ['faults'], ['import'], ['install-service']]
      .map((command) => run([...command, '--help']))
      .join('');
    for (const path of documents) {
      const text = read(path);
      const commands = [...text.matchAll(/\bsmallservd ([a-z][a-z-]*)\b(?=`|\n| --)/g)].map(([, command]) => command);
      expect(
        commands.filter((command) => !new RegExp(`^  ${command} `, 'm').test(help)),
        path,
      ).toEqual([]);
      const calls = [...text.matchAll(/\bsmallservd(?:\.js)?(?: [\w-]+)?((?: --[\w-]+(?: [\w./=-]+)?)+)/g)];
      const options = calls.flatMap(([, part = '']) => part.match(/--[\w-]+/g) ?? []);
      expect(
        options.filter((option) => !help.includes(option)),
        path,
      ).toEqual([]);
    }
  });
});

describe('the README', () => {
  test('begins with the two commands', () => {
    expect(blocksOf(readme)[0]).toMatchObject({
      language: 'sh',
      text: 'npm install && npm start\nnpm install && npm test\n',
    });
  });

  test('lists the built-in services with the ports of the shipped config', async () => {
    const { config } = await shipped({}, []);
    const portOf = (name: string): string => {
      const listen = config.services.find((service) => service.name === name)?.listen ?? [];
      return [...new Set(listen.map(({ text }) => text.split(':').at(-1)))].join(', ') || '–';
    };
    const rows = services.map(({ name, rfc, port, options }) => [
      name,
      String(rfc ?? '–'),
      String(port ?? '–'),
      portOf(name) || '–',
      Object.keys(options).join(', ') || '–',
    ]);
    expect(tableAfter(readme, '## The services').map((row) => row.slice(0, 5))).toEqual(rows);
  });

  test('shows the startup table with the ports of the shipped config', async () => {
    const { config } = await shipped({}, []);
    for (const { name, listen } of config.services) {
      const port = listen[0]?.text.split(':').at(-1);
      const both = `127.0.0.1:${port} [::1]:${port}`;
      const tcp = listen.some(({ text }) => text.startsWith('tcp:')) ? both : '–'.padEnd(both.length);
      expect(readme).toContain(`\n${name.padEnd(8)} ${tcp}  ${both}\n`);
    }
  });

  test('shows the current help', () => {
    const shown = /\$ npx smallservd --help\n([\s\S]*?)…\n```/.exec(readme)?.[1] ?? '?';
    expect(run(['--help']).startsWith(shown)).toBe(true);
  });

  test('lists every exit code', () => {
    const rows = tableAfter(readme, '| exit code |');
    expect(rows.map(([code]) => Number(code))).toEqual(Object.values(exitCodes));
    for (const [code, meaning] of rows) expect(meaning, code).not.toBe('');
  });

  test('lists every handled signal', () => {
    const handled = [...read('src/server/supervisor/signals.ts').matchAll(/\.on\('SIG(\w+)'/g)].map(
      ([, name = '']) => name,
    );
    const shown = tableAfter(readme, '| signal |').flatMap(([names = '']) => names.split(', '));
    expect(shown.toSorted()).toEqual(handled.toSorted());
  });

  test('names the defaults of the schema', () => {
    const { datagramRate, datagramServiceRate, maxAmplification } = commonSchema;
    const [network, service] = [datagramRate, datagramServiceRate].map(({ perSecond }) => perSecond.default);
    expect(readme).toMatch(new RegExp(`datagrams\\sbeyond\\s${network} a second from one source`));
    expect(readme).toContain(`${service?.toLocaleString('en')} a second for one service`);
    expect(maxAmplification.default).toBe(2);
    expect(readme).toMatch(/at most twice as large[^.]*`maxAmplification`/);
  });
});

describe('source files quoted in the documents', () => {
  const quotes = documents.flatMap((path) =>
    blocksOf(read(path)).flatMap(({ text, mark = '' }) =>
      /^(?:src|test|examples)\/\S+$/.test(mark) ? [{ path, mark, text }] : [],
    ),
  );

  test.each(quotes)('$path quotes $mark as it is', ({ mark, text }) => {
    expect(read(mark)).toContain(text);
  });

  test('include all of finger that docs/SERVICES.md explains, and the fixtures', () => {
    const marks = quotes.map(({ mark }) => mark);
    for (const [file, count] of [
      ['src/services/finger.ts', 5],
      ['examples/vitest/daemon.ts', 1],
      ['examples/vitest/ask.test.ts', 2],
      ['examples/vitest/echo.test.ts', 1],
    ] as const)
      expect(marks.filter((mark) => mark === file)).toHaveLength(count);
  });
});

describe('modules in the documents', () => {
  test('include a working greet.js in the README', async () => {
    const [text = ''] = /^\/\/ greet\.js\n[\s\S]*?(?=^```$)/m.exec(readme) ?? [];
    writeFileSync(join(directory, 'greet.js'), text);
    const listen = ['tcp://127.0.0.1:0'];
    expect(await ask('greet', { module: './greet.js', listen, options: { name: 'network' } })).toBe(
      'Hello, network!\r\n',
    );
  });

  test('include a loadavg.js in docs/SERVICES.md that answers and reports errors in its file', async () => {
    const text = blocksOf(read('docs/SERVICES.md')).find(({ language }) => language === 'js')?.text ?? '';
    writeFileSync(join(directory, 'loadavg.js'), text);
    writeFileSync(join(directory, 'averages'), '2.09 1.24 0.83 1/234 5678\n');
    const service = { module: './loadavg.js', listen: ['tcp://127.0.0.1:0'] };
    expect(await ask('loadavg', { ...service, options: { file: './averages' } })).toBe('2.09 1.24 0.83\r\n');
    await expect(ask('loadavg', { ...service, options: { file: './missing' } })).rejects.toThrow(
      / services\.loadavg\.options\.file: \S+missing cannot be read: ENOENT/,
    );
  });

  test('include a later.js in docs/SERVICES.md that answers late and counts long lines', async () => {
    writeFileSync(join(directory, 'later.js'), blockOf('docs/SERVICES.md', 'later.js'));
    const later = { module: './later.js', listen: ['tcp://127.0.0.1:0'], options: { delay: '1ms' } };
    expect(await ask('later', later, 'hello\r\n')).toBe('hello\r\n');
    expect(await ask('later', later, 'with a FIN')).toBe('with a FIN\r\n');
    await withService('later', later, async (daemon) => {
      expect(await answerOf(daemon, 'x'.repeat(513))).toBe('line too long\r\n');
      const help = 'Clients that sent a line of more than 512 bytes.';
      expect(daemon.counters('later').custom).toEqual({ long_lines: { help, count: 1 } });
    });
  });

  test('include a module as an object in docs/EMBEDDING.md', async () => {
    const file = join(directory, 'embedded.js');
    writeFileSync(file, blockOf('docs/EMBEDDING.md', 'embedded.js'));
    const { daemon } = (await import(pathToFileURL(file).href)) as { readonly daemon: Daemon };
    expect(await answerOf(daemon)).toBe('Hello, network!\r\n');
    await daemon.close(0);
  });
});

describe('docs/LOGS.md', () => {
  const counters = newServiceCounters();

  test.each([
    ["## Why a client's connection ended", counters.stream.closed],
    ['## Why a client was refused', counters.stream.refused],
    ['## Why a datagram was dropped', counters.datagram.dropped],
  ])('lists all reasons in order: %s', (heading, counts) => {
    expect(tableAfter(logs, heading).map(([reason]) => reason)).toEqual(Object.keys(counts));
  });

  const documented = tableAfter(logs, '## Every line');
  const written = sources.flatMap((path) => logCallsOf(path));

  test('lists exactly the messages of the source, with their levels', () => {
    const rows = documented.map(([message, level]) => `${level}: ${message}`);
    expect(rows.toSorted()).toEqual(
      [...new Set(written.map(({ level, message }) => `${level}: ${message}`))].toSorted(),
    );
  });

  test.each(documented)('lists the fields of "%s"', (message, _level, fields = '') => {
    const named = fields === '–' ? [] : fields.split(', ');
    const calls = written.filter((call) => call.message === message);
    const known = calls.flatMap((call) => call.fields);
    expect(known.filter((field) => !named.includes(field))).toEqual([]);
    // Fields that another function puts together, or that a log carries by itself, stand in the source all the same.
    const everything = sources.map(read).join('\n');
    expect(named.filter((field) => !new RegExp(`\\b${field}\\b`).test(everything))).toEqual([]);
  });
});

interface LogCall {
  readonly level: string;
  readonly message: string;
  readonly fields: readonly string[];
}

/** The calls of a log in a source file: level, message and the names of the fields that the call itself gives. */
function logCallsOf(path: string): readonly LogCall[] {
  const text = read(path);
  const calls = text.matchAll(/\b[lL]og(?:\.(debug|info|warn|error)|\[this\.#level\])\(/g);
  return [...calls].map(({ 0: opening, 1: level = 'set by log.connections', index }) => {
    const before = text.slice(0, index);
    const [fields = '', message = ''] = splitArguments(text.slice(index + opening.length));
    return { level, message: messageOf(message, before), fields: fieldNames(fields) };
  });
}

/** A literal, a constant that holds one, or the message of somebody's error. */
function messageOf(argument: string, before: string): string {
  const literal = /^'(.*)'$/.exec(argument)?.[1];
  if (literal !== undefined) return literal;
  const constants = [...before.matchAll(new RegExp(`const ${argument} =\\s+'(.*)';`, 'g'))];
  return constants.at(-1)?.[1] ?? '(not a constant)';
}

function fieldNames(object: string): readonly string[] {
  if (!object.startsWith('{')) return [];
  const members = splitArguments(object.slice(1));
  return members.flatMap((member) => /^(\w+)(?=$|:)/.exec(member)?.[1] ?? []);
}

/** Cuts at the commas of the outermost level, up to the bracket that closes it. */
function splitArguments(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const [token] of text.matchAll(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[\s\S]/g)) {
    if (/^[([{]$/.test(token)) depth += 1;
    if (/^[)\]}]$/.test(token)) depth -= 1;
    if (depth < 0) break;
    if (token === ',' && depth === 0) {
      parts.push(part.trim());
      part = '';
    } else {
      part += token;
    }
  }
  return [...parts, part.trim()].filter((each) => each !== '');
}

function keysOf(section: Section): readonly string[] {
  return [...keysOfSection(section)].map(({ path }) => path.join('.'));
}

/** The code spans of a document's prose. */
function spansOf(path: string): readonly string[] {
  return [...proseOf(read(path)).matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
}

function run(args: readonly string[]): string {
  return execFileSync(process.execPath, [join(root, 'dist/smallservd.js'), ...args], { encoding: 'utf8' });
}

/** All that a service sends to a TCP client, which sends this. */
async function ask(name: string, service: object, sent = ''): Promise<string> {
  return withService(name, service, async (daemon) => answerOf(daemon, sent));
}

async function withService<Result>(
  name: string,
  service: object,
  use: (daemon: Daemon) => Promise<Result>,
): Promise<Result> {
  const daemon = await startDaemon({ services: { [name]: service } }, { directory: directory });
  try {
    return await use(daemon);
  } finally {
    await daemon.close(0);
  }
}

async function answerOf({ listeners }: Daemon, sent = ''): Promise<string> {
  const socket = connect(listeners[0]?.port ?? 0, '127.0.0.1').setEncoding('latin1');
  if (sent !== '') socket.end(sent);
  let text = '';
  socket.on('data', (more: string) => {
    text += more;
  });
  await once(socket, 'close');
  return text;
}

/** The block of a document that has this mark. */
function blockOf(document: string, mark: string): string {
  const block = blocksOf(read(document)).find((each) => each.mark === mark);
  if (block === undefined) throw new Error(`${document} has no block ${mark}`);
  return block.text;
}
