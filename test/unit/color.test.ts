import { expect, test } from 'vitest';
import { wantsColor } from '../../src/color.ts';

test.each([
  ['auto', true, {}, true],
  ['auto', false, {}, false],
  ['auto', true, { NO_COLOR: '1' }, false],
  ['auto', true, { NO_COLOR: '', TERM: 'xterm' }, true],
  ['auto', true, { TERM: 'dumb' }, false],
  ['auto', false, { FORCE_COLOR: '1' }, true],
  ['auto', true, { FORCE_COLOR: '0' }, false],
  ['auto', false, { FORCE_COLOR: '3', NO_COLOR: '1' }, true],
  ['auto', false, { FORCE_COLOR: '' }, false],
  ['always', false, { NO_COLOR: '1' }, true],
  ['never', true, { FORCE_COLOR: '1' }, false],
] as const)('--color %s, terminal %s, %o: %s', (choice, isTerminal, environment, wanted) => {
  expect(wantsColor(choice, isTerminal, environment)).toBe(wanted);
});
