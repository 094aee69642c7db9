import { describe, expect, test } from 'vitest';
import { answerText, Expectation } from '../../../../src/client/probe/expectation.ts';

describe('an expectation', () => {
  test.each([
    [/^220 /m, 'hello\r\n220 ready', true],
    [/^220 /, 'hello\r\n220 ready', false],
    [/é$/, 'é', true],
    [/^\xffA$/, Buffer.from([0xff, 0x41]), true],
  ])('%s is met by %j: %s', (expression, answer, isMet) => {
    expect(new Expectation(expression).isMetBy(Buffer.from(answer))).toBe(isMet);
  });

  test('looks at each answer from its beginning, whatever the flags', () => {
    const expectation = new Expectation(/a/gy);
    for (const answer of ['a', 'a', 'ba']) expect(expectation.isMetBy(Buffer.from(answer))).toBe(true);
  });

  test('does not search for ever', () => {
    const expectation = new Expectation(/(a+)+$/, 50);
    expect(() => expectation.isMetBy(Buffer.from(`${'a'.repeat(50)}!`))).toThrow(
      expect.objectContaining({ outcome: 'failed', message: '/(a+)+$/: the search took longer than 50ms' }),
    );
  });

  test('reads what is not UTF-8 as ISO 8859-1', () => {
    expect(answerText(Buffer.from('é'))).toBe('é');
    expect(answerText(Buffer.from([0xe9]))).toBe('é');
  });
});
