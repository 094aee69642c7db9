import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import type { Terminal } from '../../../../src/client/tool/terminal.ts';
import {
  clientOptions,
  durationOption,
  type NetworkOptions,
  printJson,
  sizeOption,
  wholeNumberOption,
  withNetwork,
  withProtocol,
} from '../../../../src/client/tool/tool.ts';

const usage = (message: string): unknown => expect.objectContaining({ code: 'commander.invalidArgument', message });

describe('durationOption', () => {
  test.each([
    ['1ms', 1],
    ['500ms', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['24d', 2_073_600_000],
  ])('%s is %d ms', (text, ms) => {
    expect(durationOption(text)).toBe(ms);
  });

  // A timer of Node's is no longer than 2^31 - 1 ms.
  test.each(['', '5', '0s', '-1s', '1.5s', '1 s', 's', '1S', '25d', '99999999999d'])('%j is refused', (text) => {
    expect(() => durationOption(text)).toThrow(usage('Expected a duration with its unit, such as 500ms, 10s or 5m.'));
  });
});

describe('sizeOption', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['64KiB', 65_536],
    ['1GiB', 2 ** 30],
  ])('%s is %d bytes', (text, bytes) => {
    expect(sizeOption(text)).toBe(bytes);
  });

  test.each(['', '-1', '1.5', '1kB', '64 KiB', '999999999TiB'])('%j is refused', (text) => {
    expect(() => sizeOption(text)).toThrow(usage('Expected a size in bytes, such as 512, 64KiB or 1GiB.'));
  });
});

describe('wholeNumberOption', () => {
  test.each([
    [1, 9, '1', 1],
    [1, 9, '9', 9],
    [0, 255, '007', 7],
    [0, undefined, '9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('from %s to %s takes %s', (least, most, text, value) => {
    expect(wholeNumberOption(least, most)(text)).toBe(value);
  });

  test.each(['', '0', '10', '-1', '1.0', '1e0', '0x1', ' 1', '٣'])('from 1 to 9 refuses %j', (text) => {
    expect(() => wholeNumberOption(1, 9)(text)).toThrow(usage('Expected a whole number from 1 to 9.'));
  });

  test.each(['0', '9007199254740993', '99999999999999999'])('from 1 on refuses %s', (text) => {
    expect(() => wholeNumberOption(1)(text)).toThrow(usage('Expected a whole number from 1 on.'));
  });
});

function parsed(add: (command: Command) => Command, ...args: readonly string[]): NetworkOptions {
  const command = add(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return command.parse(args, { from: 'user' }).opts<NetworkOptions & Record<string, unknown>>();
}

describe('the options of the network', () => {
  const { signal } = new AbortController();
  const terminal = { signal } as Terminal;

  test.each([
    [[], { family: 'both', timeoutMs: 5000, udp: false }],
    [['-4'], { family: 'ipv4', timeoutMs: 5000, udp: false }],
    [['-6', '--timeout', '10s'], { family: 'ipv6', timeoutMs: 10_000, udp: false }],
    [['-u4', '--timeout=250ms'], { family: 'ipv4', timeoutMs: 250, udp: true }],
  ])('%j', (args, options) => {
    expect(clientOptions(parsed(withProtocol, ...args), terminal)).toEqual({ ...options, signal });
  });

  test.each([
    [['-4', '-6'], 'commander.conflictingOption'],
    [['--timeout', '5'], 'commander.invalidArgument'],
    [['--udp'], 'commander.unknownOption'],
  ])('%j are refused', (args, code) => {
    expect(() => parsed(withNetwork, ...args)).toThrow(expect.objectContaining({ code }));
  });
});

function printed(value: unknown): string {
  let text = '';
  printJson({ print: (more: string) => void (text += more) } as Terminal, value);
  return text;
}

describe('printJson', () => {
  test('gives no orders to a terminal, and says the same', () => {
    const value = { text: 'a\u001b[31m\u009b31m\u007f\u202eb\u2028 \t\r\n "bücher"' };
    const json = printed(value);
    expect(json).toBe('{\n  "text": "a\\u001b[31m\\u009b31m\\u007f\\u202eb\\u2028 \\t\\r\\n \\"bücher\\""\n}\n');
    expect(JSON.parse(json)).toEqual(value);
  });

  test('is for people, too', () => {
    expect(printed({ a: [1, null], b: 'c' })).toBe('{\n  "a": [\n    1,\n    null\n  ],\n  "b": "c"\n}\n');
  });

  test.each([
    ['bytes', { bytes: Buffer.from('hello') }, { bytes: 'aGVsbG8=' }],
    ['other bytes, deeper', { list: [{ bytes: new Uint8Array([0, 255]) }] }, { list: [{ bytes: 'AP8=' }] }],
    ['a date', { at: new Date(Date.UTC(2026, 0, 2)) }, { at: '2026-01-02T00:00:00.000Z' }],
    ['a number too large for JSON', { hosts: 2n ** 64n }, { hosts: '18446744073709551616' }],
    ['what is undefined', { a: undefined, b: 1 }, { b: 1 }],
    ['only text', 'text', 'text'],
  ])('writes %s', (_what, value, read) => {
    expect(JSON.parse(printed(value))).toEqual(read);
  });
});
