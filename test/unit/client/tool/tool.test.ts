import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { loadTools, toolNames } from '../../../../src/client/tool/index.ts';
import { clientProgram } from '../../../../src/client/tool/program.ts';
import type { Terminal } from '../../../../src/client/tool/terminal.ts';
import {
  clientOptions,
  type NetworkOptions,
  printJson,
  withNetwork,
  withProtocol,
} from '../../../../src/client/tool/tool.ts';
import { runTool } from '../../../support/tool-process.ts';

const tools = await loadTools();

function parsed(add: (command: Command) => Command, ...args: readonly string[]): NetworkOptions {
  const command = add(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return command.parse(args, { from: 'user' }).opts<NetworkOptions & Record<string, unknown>>();
}

describe('the network options', () => {
  const { signal } = new AbortController();
  const terminal = { signal } as Terminal;

  test.each([
    [[], { family: 'both', timeoutMs: 5000, udp: false }],
    [['-4'], { family: 'ipv4', timeoutMs: 5000, udp: false }],
    [['-6', '-W', '10'], { family: 'ipv6', timeoutMs: 10_000, udp: false }],
    [['-u4', '--timeout=250ms'], { family: 'ipv4', timeoutMs: 250, udp: true }],
  ])('accept %j', (args, options) => {
    expect(clientOptions(parsed(withProtocol, ...args), terminal)).toEqual({ ...options, signal });
  });

  test.each([
    [['-4', '-6'], 'commander.conflictingOption'],
    [['--timeout', '5x'], 'commander.invalidArgument'],
    [['--udp'], 'commander.unknownOption'],
  ])('reject %j', (args, code) => {
    expect(() => parsed(withNetwork, ...args)).toThrow(expect.objectContaining({ code }));
  });
});

describe('the command line', () => {
  test.each([
    [['foo'], "smallserv: unknown tool 'foo'\nTry: smallserv --help\n"],
    [['echoo'], "smallserv: unknown tool 'echoo'; did you mean echo?\nTry: smallserv --help\n"],
    [['help', 'foo'], "smallserv: unknown tool 'foo'\nTry: smallserv --help\n"],
    [['help', 'echoo'], "smallserv: unknown tool 'echoo'; did you mean echo?\nTry: smallserv --help\n"],
    [
      ['--json', 'echo', 'h'],
      'smallserv: put the tool before its options: smallserv echo [options]\nTry: smallserv --help\n',
    ],
    [['--foo', 'h'], "smallserv: unknown option '--foo'\nTry: smallserv --help\n"],
    [['echo', '--foo'], "smallserv: unknown option '--foo'\n"],
    [['echo', 'h', '--jsn'], "smallserv: unknown option '--jsn'; did you mean --json?\n"],
    [['echo', 'h', '--count'], 'smallserv: --count needs a value\n'],
  ])('points to the list of tools for an unknown tool, not for a wrong option of one: %j', async (args, stderr) => {
    expect(await runTool(args)).toEqual({ code: 64, stdout: '', stderr });
  });
});

test.each(toolNames)('%s is loaded by its name, and with it no other', async (name) => {
  expect(await loadTools(name)).toEqual([expect.objectContaining({ name })]);
});

/** The help of a tool at this width. */
function helpOf(tool: string, columns: number): string {
  let text = '';
  const terminal = { columns, print: (more: string) => void (text += more) } as Terminal;
  const program = clientProgram(tools, terminal, () => () => Promise.resolve());
  expect(() => program.parse([tool, '--help'], { from: 'user' })).toThrow('(outputHelp)');
  return text;
}

describe('the help', () => {
  test.each(tools.map(({ name }) => name))('of %s fits 60 columns', (name) => {
    expect(
      helpOf(name, 60)
        .split('\n')
        .filter((line) => line.length > 60),
    ).toEqual([]);
  });

  test('has --color only for tools with colors', () => {
    expect(helpOf('echo', 80)).toContain('--color <when>');
    expect(helpOf('ip', 80)).not.toContain('--color');
  });
});

function printed(value: unknown): string {
  let text = '';
  printJson({ print: (more: string) => void (text += more) } as Terminal, value);
  return text;
}

describe('printJson', () => {
  test('escapes control characters without changing the value', () => {
    const value = { text: 'a\u001b[31m\u009b31m\u007f\u202eb\u2028 \t\r\n "bücher"' };
    const json = printed(value);
    expect(json).toBe('{\n  "text": "a\\u001b[31m\\u009b31m\\u007f\\u202eb\\u2028 \\t\\r\\n \\"bücher\\""\n}\n');
    expect(JSON.parse(json)).toEqual(value);
  });

  test('indents its output', () => {
    expect(printed({ a: [1, null], b: 'c' })).toBe('{\n  "a": [\n    1,\n    null\n  ],\n  "b": "c"\n}\n');
  });

  test.each([
    ['bytes as base64', { bytes: Buffer.from('hello') }, { bytes: 'aGVsbG8=' }],
    ['nested bytes as base64', { list: [{ bytes: new Uint8Array([0, 255]) }] }, { list: [{ bytes: 'AP8=' }] }],
    ['a date', { at: new Date(Date.UTC(2026, 0, 2)) }, { at: '2026-01-02T00:00:00.000Z' }],
    ['a bigint as a string', { hosts: 2n ** 64n }, { hosts: '18446744073709551616' }],
    ['no undefined properties', { a: undefined, b: 1 }, { b: 1 }],
    ['a bare string', 'text', 'text'],
  ])('writes %s', (_what, value, read) => {
    expect(JSON.parse(printed(value))).toEqual(read);
  });
});
