import { expect, it } from 'vitest';
import { clockIsSet, released } from '../../../src/clock/release.ts';

it('clockIsSet is true from the release date of this build on', () => {
  expect(clockIsSet(0)).toBe(false);
  expect(clockIsSet(released.getTime() - 1)).toBe(false);
  expect(clockIsSet(released.getTime())).toBe(true);
});
