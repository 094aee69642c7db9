import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as client from '../../src/client/index.ts';
import { loadTools } from '../../src/client/tool/index.ts';
import { outcomes } from '../../src/outcomes.ts';
import { blocksOf, documents, read, root, tableAfter } from './files.ts';

const page = read('docs/CLIENT.md');
const textbook = read('docs/TEXTBOOK.md');
const tools = await loadTools();
const names = tools.map(({ name }) => name);

function help(columns: number, ...command: readonly string[]): string {
  const args = [join(root, 'dist/smallserv.js'), ...command, '--help'];
  return execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, COLUMNS: String(columns) } });
}

const ownHelp = help(80);
const helpOf = new Map(names.map((name) => [name, help(1000, name)]));

/** The long options that a help lists. */
function optionsIn(text: string): readonly string[] {
  return [...text.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)].map(([, option = '']) => option);
}

/** The section under a heading, up to the next one. */
function sectionOf(document: string, heading: string): string {
  const [, , after] = document.split(new RegExp(`^(##+ ${heading}\n)`, 'm'));
  if (after === undefined) throw new Error(`there is no heading ${heading}`);
  return after.split(/^##/m)[0] ?? '';
}

function sessionsOf(section: string): string {
  return blocksOf(section)
    .filter(({ language }) => language === 'console')
    .map(({ text }) => text)
    .join('');
}

describe('the help of smallserv', () => {
  test('lists every tool with its summary', () => {
    const listed = ownHelp.replaceAll(/\n {6,}/g, ' ');
    for (const { name, summary } of tools) expect(listed).toMatch(new RegExp(`^  ${name} +${escape(summary)}$`, 'm'));
  });

  test.each([[], ...names.map((name) => [name])])('is no wider than 60 columns: %s', (...command) => {
    const lines = help(60, ...command).split('\n');
    expect(lines.filter(({ length }) => length > 60)).toEqual([]);
  });

  test.each(tools)('for $name has examples that use its own command', ({ name, examples }) => {
    expect(examples.length).toBeGreaterThan(0);
    for (const [line] of examples) {
      expect(line.split(' ')[0]).toBe(name);
      expect(helpOf.get(name)).toMatch(new RegExp(`^  smallserv ${escape(line)} +\\S`, 'm'));
    }
  });
});

describe('the README', () => {
  test('lists the client tools as in the help', () => {
    const rows = tools.map(({ name, summary, examples }) => [name, summary, `smallserv ${examples[0]?.[0]}`]);
    expect(tableAfter(read('README.md'), '## The client tools')).toEqual(rows);
  });
});

/** What the page says of all tools at once. */
const sharedOptions = new Set([
  '--help',
  ...[...tableAfter(page, '| option |'), ...tableAfter(page, '| letter |')].flatMap(
    ([cell = '']) => cell.match(/--[\w-]+/g) ?? [],
  ),
]);

describe('docs/CLIENT.md', () => {
  test('shows the current help', () => {
    expect(page).toContain(`$ smallserv --help\n${ownHelp}\`\`\`\n`);
  });

  test('has a section for each tool, in the order of the help', () => {
    expect([...page.matchAll(/^### `smallserv ([\w-]+)`$/gm)].map(([, name]) => name)).toEqual(names);
  });

  test.each(names)('shows a session of %s and names all of its options', (name) => {
    const section = sectionOf(page, `\`smallserv ${name}\``);
    expect(sessionsOf(section)).toMatch(new RegExp(`\\bsmallserv ${name} `));
    const own = optionsIn(helpOf.get(name) ?? '').filter((option) => !sharedOptions.has(option));
    expect(own.filter((option) => !section.includes(option))).toEqual([]);
  });

  test('has the same exit codes as the help', () => {
    const [, line = ''] = /^Exit codes: ([\s\S]*)/m.exec(ownHelp) ?? [];
    const rows = tableAfter(page, '| exit code |').map(([code]) => code);
    expect(rows).toEqual([...line.matchAll(/\b\d+\b/g)].map(([code]) => code));
  });

  test('explains every outcome, and gives each an exit code', () => {
    expect(tableAfter(page, '| outcome |').map(([outcome]) => outcome)).toEqual(Object.keys(outcomes));
    const codes = new Map(tableAfter(page, '| exit code |').map(([code = '', listed = '']) => [code, listed]));
    for (const [outcome, code] of Object.entries(outcomes)) expect(codes.get(String(code))).toContain(outcome);
  });

  test.each(names)('names %s, which is exported as a function', (name) => {
    const camelCase = name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    expect(Object.entries(client).find(([exported]) => exported === camelCase)?.[1]).toBeTypeOf('function');
  });
});

describe('docs/TEXTBOOK.md', () => {
  const programs = [
    'IP',
    'Mask',
    'ResolveIP',
    'LookupHost',
    'LookupPort',
    'GetHeadInfo',
    'DaytimeServer',
    'SimpleEchoServer',
    'ThreadedEchoServer',
    'UDPDaytimeClient',
    'UDPDaytimeServer',
    'IPGetHeadInfo',
    'ThreadedIPEchoServer',
    'Ping',
  ];
  const topics = ['Timeouts', 'Keepalive', 'Many sockets', 'Raw sockets'];

  test('has a row for every program and topic, with links to the source', () => {
    const rows = tableAfter(textbook, '| program |');
    expect(rows.map(([program]) => program)).toEqual(programs.map((program) => linkOf(program)));
    const topicRows = tableAfter(textbook, '| topic |');
    expect(topicRows.map(([topic]) => topic)).toEqual(topics.map((topic) => linkOf(topic, topic.toLowerCase())));
    // That the files exist is for the test of all links.
    for (const row of [...rows, ...topicRows]) expect(row.join(' ')).toMatch(/\]\(\.\.\/src\/[\w./-]+\.ts\)/);
  });

  test.each([...programs, ...topics])('shows a session of %s', (heading) => {
    expect(sessionsOf(sectionOf(textbook, heading))).toMatch(/^\$ .*\n(?!\$ )/m);
  });
});

describe('commands in the documents', () => {
  const calls = documents.flatMap((path) =>
    [...read(path).matchAll(/(?<=^\$ |`|\| )(?:npx )?smallserv ([a-z][\w-]*)([^`|;\n]*)/gm)].map(
      ([call, tool = '', rest = '']) => ({ path, call, tool, options: rest.match(/(?<= )--[\w-]+/g) ?? [] }),
    ),
  );

  test('use only existing tools and options', () => {
    expect(calls.length).toBeGreaterThan(names.length);
    const wrong = calls.filter(({ tool, options }) => {
      const known = optionsIn(helpOf.get(tool) ?? '');
      return !names.includes(tool) || options.some((option) => !known.includes(option));
    });
    expect(wrong).toEqual([]);
  });
});

/** A link to a heading of the same document, as GitHub names it. */
function linkOf(heading: string, text: string = heading): string {
  return `[${text}](#${heading.toLowerCase().replaceAll(' ', '-')})`;
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
