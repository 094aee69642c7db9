import { expect, it } from 'vitest';
import { boundResolver } from '../../../../src/client/tool/resolver.ts';

it.each([
  [1, 'timeout:1 attempts:1'],
  [1999, 'timeout:1 attempts:1'],
  [2000, 'timeout:1 attempts:2'],
  [5000, 'timeout:2 attempts:2'],
  [60_000, 'timeout:30 attempts:2'],
])('sets RES_OPTIONS for a timeout of %d ms', (timeoutMs, options) => {
  const environment: NodeJS.ProcessEnv = {};
  boundResolver(timeoutMs, environment);
  expect(environment).toEqual({ RES_OPTIONS: options });
});

it('keeps RES_OPTIONS set by the user', () => {
  const environment: NodeJS.ProcessEnv = { RES_OPTIONS: 'rotate' };
  boundResolver(5000, environment);
  expect(environment).toEqual({ RES_OPTIONS: 'rotate' });
});
