import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/client/ip.ts';

describe('ip', () => {
  test.each([
    ['127.0.0.1', { address: '127.0.0.1', family: 'ipv4', kind: 'loopback' }],
    ['0:0:0:0:0:0:0:1', { address: '::1', family: 'ipv6', kind: 'loopback' }],
    ['2001:DB8:0:0:1:0:0:1', { address: '2001:db8::1:0:0:1', family: 'ipv6', kind: 'documentation' }],
    ['fe80::1%eth0', { address: 'fe80::1%eth0', family: 'ipv6', kind: 'link-local' }],
    [
      '::ffff:1.2.3.4',
      { address: '::ffff:1.2.3.4', family: 'ipv6', kind: 'v4-mapped', mapped: { address: '1.2.3.4', kind: 'global' } },
    ],
    [
      '::FFFF:7f00:1',
      {
        address: '::ffff:127.0.0.1',
        family: 'ipv6',
        kind: 'v4-mapped',
        mapped: { address: '127.0.0.1', kind: 'loopback' },
      },
    ],
  ])('parses %s', async (text, answer) => {
    expect(await ip(text)).toEqual(answer);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '::1::',
    '[::1]',
    '::1/64',
    '1.2.3.4:7',
    'localhost',
    'fe80::1%',
    'fe80::1%a b',
    'fe80::1%\u001b[2J',
  ])('rejects %j', async (text) => {
    const expected = 'expected IPv4 as in 192.0.2.1, or IPv6 as in 2001:db8::1, without brackets or port';
    await expect(ip(text)).rejects.toMatchObject({
      code: 'ADDRESS_INVALID',
      exitCode: 1,
      message: `invalid address ${JSON.stringify(text)}: ${expected}`,
    });
  });

  test('leaves the normal form unchanged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.ipV4(), fc.ipV6()), async (text) => {
        const answer = await ip(text);
        expect(await ip(answer.address)).toEqual(answer);
        expect(answer.family).toBe(text.includes(':') ? 'ipv6' : 'ipv4');
      }),
    );
  });
});
