import { describe, expect, it } from 'vitest';
import { isDenied, isExempt } from '../../../../src/server/guard/access-list.ts';
import { access, ip } from './fixtures.ts';

describe('isDenied', () => {
  it.each([
    ['without lists everybody may come', {}, '192.0.2.1', false],
    ['deny refuses', { deny: ['192.0.2.0/24'] }, '192.0.2.1', true],
    ['deny refuses nobody else', { deny: ['192.0.2.0/24'] }, '192.0.3.1', false],
    ['allow admits', { allow: ['10.0.0.0/8', '192.0.2.0/24'] }, '192.0.2.1', false],
    ['allow refuses everybody else', { allow: ['10.0.0.0/8'] }, '192.0.2.1', true],
    ['deny wins over allow', { allow: ['192.0.2.0/24'], deny: ['192.0.2.1'] }, '192.0.2.1', true],
    ['an IPv6 deny does not refuse IPv4', { deny: ['::/0'] }, '192.0.2.1', false],
    ['an IPv6 allow does not admit IPv4', { allow: ['::/0'] }, '192.0.2.1', true],
    ['exempt sources may be denied', { deny: ['127.0.0.0/8'], exempt: ['127.0.0.0/8'] }, '127.0.0.1', true],
  ])('%s', (_rule, lists, address, denied) => {
    expect(isDenied(access(lists), ip(address))).toBe(denied);
  });
});

describe('isExempt', () => {
  it.each([
    ['nobody without a list', {}, '127.0.0.1', false],
    ['a source on the list', { exempt: ['127.0.0.0/8', '::1'] }, '::1', true],
    ['no other source', { exempt: ['127.0.0.0/8', '::1'] }, '::2', false],
    ['not who is merely allowed', { allow: ['10.0.0.0/8'] }, '10.0.0.1', false],
  ])('%s', (_rule, lists, address, exempt) => {
    expect(isExempt(access(lists), ip(address))).toBe(exempt);
  });

  it.each([
    ['nobody by default', {}, '::1', false],
    ['not who would be, had the network shown the address', { exempt: ['127.0.0.0/8', '::1'] }, '127.0.0.1', false],
    ['not in its IPv6 form either', { exempt: ['127.0.0.0/8', '::1'] }, '::ffff:127.0.0.1', false],
    ['whom the list for headers holds', { exemptByHeader: ['127.0.0.0/8'] }, '127.0.0.1', true],
  ])('by the address in a PROXY header: %s', (_rule, lists, address, exempt) => {
    expect(isExempt(access(lists), ip(address), true)).toBe(exempt);
  });
});
