import { expect, test } from 'vitest';
import { runTool } from '../../../support/tool-process.ts';

test('prints the canonical form, family and kind', async () => {
  expect(await runTool(['ip', '0:0:0:0:0:0:0:1'])).toEqual({
    code: 0,
    stdout: 'address  ::1\nfamily   ipv6\nkind     loopback\n',
    stderr: '',
  });
});

test('prints the IPv4 address in a v4-mapped address', async () => {
  expect(await runTool(['ip', '::ffff:1.2.3.4'])).toEqual({
    code: 0,
    stdout: 'address  ::ffff:1.2.3.4\nfamily   ipv6\nkind     v4-mapped\nmaps to  1.2.3.4 (IPv4, global)\n',
    stderr: '',
  });
});

test('prints JSON', async () => {
  const { code, stdout } = await runTool(['ip', '--json', '10.0.0.1']);
  expect([code, JSON.parse(stdout)]).toEqual([
    0,
    { outcome: 'ok', address: '10.0.0.1', family: 'ipv4', kind: 'private' },
  ]);
});

test.each([
  ['1.2.3', '"1.2.3"'],
  ['fe80::1%\u001b[31m', '"fe80::1%\\u001b[31m"'],
  ['', '""'],
])('rejects %j', async (text, shown) => {
  const expected = 'expected IPv4 as in 192.0.2.1, or IPv6 as in 2001:db8::1, without brackets or port';
  expect(await runTool(['ip', text])).toEqual({
    code: 1,
    stdout: '',
    stderr: `smallserv: invalid address ${shown}: ${expected}\n`,
  });
});

test('requires an address', async () => {
  expect(await runTool(['ip'])).toEqual({
    code: 64,
    stdout: '',
    stderr: "smallserv: missing required argument 'address'\n",
  });
});
