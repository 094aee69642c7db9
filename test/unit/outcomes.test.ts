import { describe, expect, test } from 'vitest';
import { errorCodes, SmallservdError } from '../../src/errors.ts';
import { outcomes } from '../../src/outcomes.ts';

describe('the outcome of an error', () => {
  test.each([
    ['HOST_NOT_FOUND', 'no-name', 2],
    ['ENTRY_NOT_FOUND', 'no-name', 2],
    ['CONNECT_FAILED', 'unreachable', 2],
    ['CONNECTION_LOST', 'reset', 1],
    ['NO_ANSWER', 'timeout', 1],
    ['ANSWER_WRONG', 'wrong-answer', 1],
    ['RAW_SOCKET_NOT_PERMITTED', 'not-permitted', 77],
    ['ARGUMENT_INVALID', 'invalid', 64],
    ['ADDRESS_INVALID', 'invalid', 1],
    ['INTERRUPTED', 'interrupted', 130],
    ['LISTEN_FAILED', 'failed', 1],
  ] as const)('with code %s is %s, and its exit code %i', (code, outcome, exitCode) => {
    expect(new SmallservdError(code, 'why')).toMatchObject({ outcome, exitCode });
  });

  test('is what its cause says, if it says more', () => {
    const cause = new Error('ECONNREFUSED');
    const error = new SmallservdError('CONNECT_FAILED', 'why', { cause, outcome: 'refused' });
    expect(error).toMatchObject({ outcome: 'refused', exitCode: 2, cause });
    expect(new SmallservdError('CONNECT_FAILED', 'why')).not.toHaveProperty('cause');
  });

  test('belongs to the closed set', () => {
    const codes = Object.keys(errorCodes) as (keyof typeof errorCodes)[];
    for (const code of codes) expect(outcomes).toHaveProperty(new SmallservdError(code, '').outcome);
  });
});
