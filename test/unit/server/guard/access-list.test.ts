import { describe, expect, it } from 'vitest';
import { isDenied, isExempt } from '../../../../src/server/guard/access-list.ts';
import { access, ip } from './fixtures.ts';

describe('isDenied', () => {
  it.each([
    ['admits everybody without lists', {}, '192.0.2.1', false],
    ['denies a source on the deny list', { deny: ['192.0.2.0/24'] }, '192.0.2.1', true],
    ['admits a source that is not on the deny list', { deny: ['192.0.2.0/24'] }, '192.0.3.1', false],
    ['admits a source on the allow list', { allow: ['10.0.0.0/8', '192.0.2.0/24'] }, '192.0.2.1', false],
    ['denies a source that is not on the allow list', { allow: ['10.0.0.0/8'] }, '192.0.2.1', true],
    ['gives deny precedence over allow', { allow: ['192.0.2.0/24'], deny: ['192.0.2.1'] }, '192.0.2.1', true],
    ['does not apply an IPv6 deny to IPv4', { deny: ['::/0'] }, '192.0.2.1', false],
    ['does not apply an IPv6 allow to IPv4', { allow: ['::/0'] }, '192.0.2.1', true],
    ['denies an exempt source on the deny list', { deny: ['127.0.0.0/8'], exempt: ['127.0.0.0/8'] }, '127.0.0.1', true],
  ])('%s', (_rule, lists, address, denied) => {
    expect(isDenied(access(lists), ip(address))).toBe(denied);
  });
});

describe('isExempt', () => {
  it.each([
    ['exempts nobody without a list', {}, '127.0.0.1', false],
    ['exempts a source on the list', { exempt: ['127.0.0.0/8', '::1'] }, '::1', true],
    ['does not exempt other sources', { exempt: ['127.0.0.0/8', '::1'] }, '::2', false],
    ['does not exempt a source that is only allowed', { allow: ['10.0.0.0/8'] }, '10.0.0.1', false],
  ])('%s', (_rule, lists, address, exempt) => {
    expect(isExempt(access(lists), ip(address))).toBe(exempt);
  });

  it.each([
    ['exempts nobody by default', {}, '::1', false],
    ['does not apply exempt', { exempt: ['127.0.0.0/8', '::1'] }, '127.0.0.1', false],
    ['does not apply exempt to an IPv4-mapped address', { exempt: ['127.0.0.0/8', '::1'] }, '::ffff:127.0.0.1', false],
    ['exempts a source on exemptByHeader', { exemptByHeader: ['127.0.0.0/8'] }, '127.0.0.1', true],
  ])('for an address in a PROXY header: %s', (_rule, lists, address, exempt) => {
    expect(isExempt(access(lists), ip(address), true)).toBe(exempt);
  });
});
