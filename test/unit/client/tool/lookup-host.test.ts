import { expect, test } from 'vitest';
import { runTool } from '../../../support/tool-process.ts';

test('prints one address per line', async () => {
  const { code, stdout, stderr } = await runTool(['lookup-host', 'localhost']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout.split('\n').slice(0, -1)).toContain('127.0.0.1');
  expect(stdout).toMatch(/^(?:(?:127\.0\.0\.1|::1)\n)+$/);
});

test('prints the canonical name', async () => {
  expect(await runTool(['lookup-host', '--cname', 'localhost'])).toEqual({
    code: 0,
    stdout: 'localhost.\n',
    stderr: '',
  });
});

test('prints JSON', async () => {
  const addresses = await runTool(['lookup-host', '-4', '--json', 'localhost']);
  expect(JSON.parse(addresses.stdout)).toEqual({
    outcome: 'ok',
    target: 'localhost',
    elapsedMs: expect.any(Number) as number,
    host: 'localhost',
    addresses: [{ address: '127.0.0.1', family: 'ipv4' }],
  });
  const name = await runTool(['lookup-host', '--cname', '--json', 'localhost']);
  expect(JSON.parse(name.stdout)).toMatchObject({ outcome: 'ok', host: 'localhost', canonicalName: 'localhost.' });
});

test.each([
  [['-6', '127.0.0.1'], 2, '127.0.0.1 is an IPv4 address: expected an IPv6 address or a name'],
  [['--cname', '127.0.0.1'], 64, '127.0.0.1 is an address: expected a host name'],
  [
    ['nowhere.invalid'],
    2,
    expect.stringMatching(/^(?:nowhere\.invalid has no address|cannot resolve nowhere\.invalid)/),
  ],
  // Without a name server it cannot be resolved.
  [
    ['--cname', 'nowhere.invalid'],
    2,
    expect.stringMatching(/^(?:nowhere\.invalid (?:has no address|could not be)|cannot resolve nowhere\.invalid)/),
  ],
])('lookup-host %j fails', async (args, code, message) => {
  const end = await runTool(['lookup-host', ...args]);
  expect([end.code, end.stdout, end.stderr.replace(/^smallserv: ([^\n]*)\n$/, '$1')]).toEqual([code, '', message]);
});
