import { expect, test } from 'vitest';
import { formatFacts } from '../../../../src/client/tool/facts.ts';

test('formatFacts prints one fact per line with aligned values', () => {
  const facts = [
    ['address', '::1'],
    ['class', undefined],
    ['in hex', '0x00'],
  ] as const;
  expect(formatFacts(facts)).toBe('address  ::1\nin hex   0x00\n');
  expect(formatFacts([['path MTU', 'there and back']], 20)).toBe('path MTU  there and\n          back\n');
});
