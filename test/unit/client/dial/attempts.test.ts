import { expect, test } from 'vitest';
import { Attempts } from '../../../../src/client/dial/attempts.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

test('lists attempts with their own outcome and time, and those that have not ended with the outcome of the run', () => {
  const clock = new FakeClock();
  const attempts = new Attempts(clock);
  const first = attempts.begin('2001:db8::1');
  clock.advance(250);
  attempts.begin('192.0.2.1');
  const third = attempts.begin('192.0.2.2');
  clock.advance(50);
  first('refused');
  third(undefined);
  clock.advance(1000);
  first('ok');
  expect(attempts.list('timeout')).toEqual([
    { address: '2001:db8::1', outcome: 'refused', elapsedMs: 300 },
    { address: '192.0.2.1', outcome: 'timeout', elapsedMs: 1050 },
    { address: '192.0.2.2', outcome: undefined, elapsedMs: 50 },
  ]);
});

test('records no more than a thousand', () => {
  const attempts = new Attempts(new FakeClock());
  for (let count = 0; count < 1100; count += 1) attempts.begin('192.0.2.1')('refused');
  expect(attempts.list('refused')).toHaveLength(1000);
});
