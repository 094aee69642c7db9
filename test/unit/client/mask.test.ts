import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mask } from '../../../src/client/mask.ts';

const ofClassC = {
  address: '192.0.2.70',
  family: 'ipv4',
  mask: '255.255.255.192',
  hexMask: 'ffffffc0',
  prefix: 26,
  network: '192.0.2.64',
  hostPart: '0.0.0.6',
  broadcast: '192.0.2.127',
  firstHost: '192.0.2.65',
  lastHost: '192.0.2.126',
  hosts: 62n,
};

const number = (dotted: string): number => dotted.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);

describe('mask', () => {
  test.each([
    ['192.0.2.70/26', undefined],
    ['192.0.2.70/255.255.255.192', undefined],
    ['192.0.2.70', '255.255.255.192'],
    ['192.0.2.70', '26'],
  ])('parses %s %s', async (text, separate) => {
    expect(await mask(text, separate)).toEqual(ofClassC);
  });

  test('defaults to the mask of the address class', async () => {
    expect(await mask('127.0.0.1')).toEqual({
      address: '127.0.0.1',
      family: 'ipv4',
      class: 'A',
      mask: '255.0.0.0',
      hexMask: 'ff000000',
      prefix: 8,
      network: '127.0.0.0',
      hostPart: '0.0.0.1',
      broadcast: '127.255.255.255',
      firstHost: '127.0.0.1',
      lastHost: '127.255.255.254',
      hosts: 16_777_214n,
    });
    expect(await mask('172.16.1.1')).toMatchObject({ class: 'B', prefix: 16, network: '172.16.0.0' });
    expect(await mask('192.168.1.1')).toMatchObject({ class: 'C', prefix: 24, network: '192.168.1.0' });
  });

  test.each([
    ['0.0.0.0/0', '0.0.0.0', '0.0.0.1', '255.255.255.254', 4_294_967_294n, '255.255.255.255'],
    ['192.0.2.9/30', '192.0.2.8', '192.0.2.9', '192.0.2.10', 2n, '192.0.2.11'],
    ['192.0.2.9/31', '192.0.2.8', '192.0.2.8', '192.0.2.9', 2n, undefined],
    ['192.0.2.9/32', '192.0.2.9', '192.0.2.9', '192.0.2.9', 1n, undefined],
    ['::/0', '::', '::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 2n ** 128n - 1n, undefined],
    ['2001:db8::1/64', '2001:db8::', '2001:db8::1', '2001:db8::ffff:ffff:ffff:ffff', 2n ** 64n - 1n, undefined],
    ['2001:db8::7/127', '2001:db8::6', '2001:db8::6', '2001:db8::7', 2n, undefined],
    ['2001:db8::7/128', '2001:db8::7', '2001:db8::7', '2001:db8::7', 1n, undefined],
    ['::ffff:1.2.3.4/120', '::ffff:1.2.3.0', '::ffff:1.2.3.1', '::ffff:1.2.3.255', 255n, undefined],
  ])('computes the network and hosts of %s', async (text, network, firstHost, lastHost, hosts, broadcast) => {
    const answer = await mask(text);
    expect(answer).toMatchObject({ network, firstHost, lastHost, hosts });
    expect(answer.broadcast).toBe(broadcast);
  });

  test('returns IPv6 masks in both notations', async () => {
    expect(await mask('2001:db8::1', 'ffff:ffff:ffff:ff00::')).toMatchObject({
      mask: 'ffff:ffff:ffff:ff00::',
      hexMask: 'ffffffffffffff000000000000000000',
      prefix: 56,
      hostPart: '::1',
    });
  });

  test.each([
    ['1.2.3/8', 'invalid address "1.2.3": expected IPv4'],
    ['fe80::1%eth0/64', 'invalid address "fe80::1%eth0": expected IPv4'],
    ['1.2.3.4/33', 'invalid mask "33": expected a prefix length from 0 to 32, or a mask as in 255.255.0.0'],
    ['1.2.3.4/08', 'invalid mask "08": expected a prefix length from 0 to 32'],
    ['1.2.3.4/', 'invalid mask "": expected a prefix length from 0 to 32'],
    ['1.2.3.4/-1', 'invalid mask "-1": expected a prefix length from 0 to 32'],
    ['1.2.3.4/8/8', 'invalid mask "8/8": expected a prefix length from 0 to 32'],
    ['1.2.3.4/255.0.255.0', 'invalid mask "255.0.255.0": expected all ones before all zeros'],
    ['1.2.3.4/0.0.0.255', 'invalid mask "0.0.0.255": expected all ones before all zeros'],
    ['1.2.3.4/ffff::', 'invalid mask "ffff::": expected a prefix length from 0 to 32'],
    ['::1/255.0.0.0', 'invalid mask "255.0.0.0": expected a prefix length from 0 to 128, or a mask as in ffff::'],
    ['::1/129', 'invalid mask "129": expected a prefix length from 0 to 128'],
    ['::1/ffff::1', 'invalid mask "ffff::1": expected all ones before all zeros'],
  ])('rejects %s', async (text, message) => {
    await expect(mask(text)).rejects.toMatchObject({
      code: 'ADDRESS_INVALID',
      exitCode: 1,
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['224.0.0.1', undefined, '"224.0.0.1" is of class D or E, which has no default mask: expected 224.0.0.1/PREFIX'],
    ['::1', undefined, '"::1" is IPv6, which has no default mask: expected ::1/PREFIX'],
    ['1.2.3.4/8', '255.0.0.0', '"1.2.3.4/8" already has a mask: remove the second'],
  ])('rejects the arguments %s %s', async (text, separate, message) => {
    await expect(mask(text, separate)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', exitCode: 64, message });
  });

  test('returns consistent values for any address and prefix', async () => {
    await fc.assert(
      fc.asyncProperty(fc.ipV4(), fc.integer({ min: 0, max: 32 }), async (text, prefix) => {
        const answer = await mask(`${text}/${prefix}`);
        expect(number(answer.network) + number(answer.hostPart)).toBe(number(text));
        expect(number(answer.lastHost) - number(answer.firstHost) + 1).toBe(Number(answer.hosts));
        expect(await mask(text, answer.mask)).toEqual(answer);
      }),
    );
  });
});
