import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { conform } from '../../../../src/client/conform.ts';
import { load } from '../../../../src/client/load.ts';
import { dscpOption, type PathOptions, pathControls, withPath } from '../../../../src/client/tool/path-options.ts';
import { runTool } from '../../../support/tool-process.ts';

function parsed(...args: readonly string[]): ReturnType<typeof pathControls> {
  const command = withPath(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return pathControls(command.parse(args, { from: 'user' }).opts<PathOptions & Record<string, unknown>>());
}

describe('the path options', () => {
  test.each([
    [[], undefined],
    [['--df'], { dontFragment: true }],
    [['--source', '::1', '--source-port', '4000'], { source: '::1', sourcePort: 4000 }],
    [['--interface', 'eth0', '--ttl', '3', '--dscp', 'cs0'], { interface: 'eth0', ttl: 3, dscp: 0 }],
  ])('accept %j', (args, controls) => {
    expect(parsed(...args)).toEqual(controls);
  });

  test.each([
    ['--ttl', '256'],
    ['--ttl', '0'],
    ['--source-port', '0'],
    ['--dscp', '64'],
  ])('reject %s %s', (...args) => {
    expect(() => parsed(...args)).toThrow(expect.objectContaining({ code: 'commander.invalidArgument' }));
  });
});

describe('a traffic class', () => {
  test.each([
    ['cs0', 0],
    ['CS7', 56],
    ['af11', 10],
    ['af23', 22],
    ['af41', 34],
    ['af43', 38],
    ['ef', 46],
    ['va', 44],
    ['le', 1],
    ['0', 0],
    ['63', 63],
  ])('%s is code point %i', (text, value) => {
    expect(dscpOption(text)).toBe(value);
  });

  test.each(['', 'cs8', 'af14', 'af51', '64', '-1', '1.5', '0x10', 'constructor'])('%j is none', (text) => {
    expect(() => dscpOption(text)).toThrow('expected cs0 to cs7');
  });
});

test.each([load, conform])('%o takes no source port', async (client) => {
  await expect(client('127.0.0.1', { pathControls: { sourcePort: 4000 } })).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
    message: expect.stringMatching(/source.port/) as string,
  });
});

test.each([
  [['ping', '127.0.0.1', '--source', '127.0.0.1'], "unknown option '--source'"],
  [['load', '127.0.0.1:1', '--source-port', '4000'], '--source-port needs --flows'],
  [['conform', '127.0.0.1', '--source-port', '4000'], "unknown option '--source-port'"],
  [['daytime', '127.0.0.1', '-6', '--source', '127.0.0.1'], 'the source address 127.0.0.1 is not an IPv6 address'],
  [['daytime', '127.0.0.1', '--source', '::1'], 'the source address ::1 is IPv6, and 127.0.0.1 is not'],
])('%j is a wrong command line', async (args, message) => {
  const { code, stdout, stderr } = await runTool(args);
  expect([code, stdout]).toEqual([64, '']);
  expect(stderr).toContain(message);
});
