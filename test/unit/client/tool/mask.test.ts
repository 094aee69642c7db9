import { expect, test } from 'vitest';
import { runTool } from '../../../support/tool-process.ts';

const loopback = `address     127.0.0.1
class       A
mask        255.0.0.0
in hex      0xff000000
prefix      /8
network     127.0.0.0
host part   0.0.0.1
broadcast   127.255.255.255
first host  127.0.0.1
last host   127.255.255.254
hosts       16777214
`;

test('applies the default mask to an address', async () => {
  expect(await runTool(['mask', '127.0.0.1'])).toEqual({ code: 0, stdout: loopback, stderr: '' });
});

test.each([['127.0.0.1/8'], ['127.0.0.1/255.0.0.0'], ['127.0.0.1', '255.0.0.0']])('accepts %s %s', async (...args) => {
  const stdout = loopback.replace('class       A\n', '');
  expect(await runTool(['mask', ...args])).toEqual({ code: 0, stdout, stderr: '' });
});

test('prints no broadcast address for IPv6', async () => {
  const { stdout } = await runTool(['mask', '2001:db8::1/56']);
  expect(stdout).not.toContain('broadcast');
  expect(stdout).toContain('\nlast host   2001:db8:0:ff:ffff:ffff:ffff:ffff\nhosts       4722366482869645213695\n');
});

test('prints JSON with the host count as a string', async () => {
  const { code, stdout } = await runTool(['mask', '--json', '::1/64']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ prefix: 64, network: '::', hosts: '18446744073709551615' });
});

test.each([
  [['1.2.3.4', '255.0.255.0'], 1, 'invalid mask "255.0.255.0": expected all ones before all zeros'],
  [['1.2.3/8'], 1, expect.stringMatching(/^invalid address "1\.2\.3": expected /)],
  [['::1'], 64, '"::1" is IPv6, which has no default mask: expected ::1/PREFIX'],
  [['1.2.3.4', '8', '9'], 64, "too many arguments for 'mask': expected 2, got 3"],
])('rejects %j', async (args, code, message) => {
  const end = await runTool(['mask', ...args]);
  expect([end.code, end.stdout, end.stderr.replace(/^smallserv: ([^\n]*)\n$/, '$1')]).toEqual([code, '', message]);
});
