import { expect, test } from 'vitest';
import { runTool } from '../../../support/tool-process.ts';

test.each([
  [['--family', 'ipv4', 'localhost'], '127.0.0.1\n'],
  [['-4', 'localhost'], '127.0.0.1\n'],
  [['[0::1]'], '::1\n'],
  [['--family', 'both', '192.0.2.1'], '192.0.2.1\n'],
])('resolve %j', async (args, stdout) => {
  expect(await runTool(['resolve', ...args])).toEqual({ code: 0, stdout, stderr: '' });
});

test('prints JSON', async () => {
  const { stdout } = await runTool(['resolve', '-4', '--json', 'localhost']);
  expect(JSON.parse(stdout)).toMatchObject({
    outcome: 'ok',
    target: 'localhost',
    address: '127.0.0.1',
    family: 'ipv4',
  });
});

test.each([
  [['-6', '127.0.0.1'], 2, '127.0.0.1 is an IPv4 address: expected an IPv6 address or a name'],
  [['--family', 'ipv6', '127.0.0.1'], 2, '127.0.0.1 is an IPv4 address: expected an IPv6 address or a name'],
  [['--family', 'ip5', 'localhost'], 64, '"ip5" is not valid for --family: expected one of both, ipv4, ipv6'],
  [['-6', '--family', 'ipv4', 'localhost'], 64, '--family cannot be used with -6'],
  [['localhost:7'], 64, expect.stringContaining('"localhost:7" is not a host')],
  [
    ['nowhere.invalid'],
    2,
    expect.stringMatching(/^(?:nowhere\.invalid has no address|cannot resolve nowhere\.invalid)/),
  ],
])('resolve %j fails', async (args, code, message) => {
  const end = await runTool(['resolve', ...args]);
  expect([end.code, end.stdout, end.stderr.replace(/^smallserv: ([^\n]*)\n$/, '$1')]).toEqual([code, '', message]);
});
