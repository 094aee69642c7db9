import { expect, it } from 'vitest';
import { Turns } from '../../../../src/server/admin/turns.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

class Queue {
  readonly clock = new FakeClock();
  readonly turns = new Turns<string>(this.clock);
  readonly sent: string[] = [];

  wait(name: string, hasBegun: boolean): void {
    this.turns.wait(name, hasBegun, () => this.sent.push(name));
  }
}

it('gives a turn a millisecond, in order', () => {
  const queue = new Queue();
  for (const name of ['a', 'b', 'c']) queue.wait(name, false);
  expect(queue.sent).toEqual([]);
  queue.clock.advance(1);
  expect(queue.sent).toEqual(['a']);
  queue.clock.advance(1);
  expect(queue.sent).toEqual(['a', 'b']);
  queue.clock.advance(10);
  expect(queue.sent).toEqual(['a', 'b', 'c']);
  expect(queue.clock.waiting).toBe(0);
});

it('finishes what has begun before it begins another', () => {
  const queue = new Queue();
  const finish = (left: number): void => {
    queue.sent.push('long');
    if (left > 0) queue.turns.wait('long', true, () => finish(left - 1));
  };
  queue.turns.wait('long', false, () => finish(2));
  queue.wait('next', false);
  queue.clock.advance(4);
  expect(queue.sent).toEqual(['long', 'long', 'long', 'next']);
});

it('lets those that have begun take turns', () => {
  const queue = new Queue();
  for (const name of ['a', 'b']) queue.wait(name, true);
  queue.clock.advance(1);
  queue.wait('a', true);
  queue.clock.advance(2);
  expect(queue.sent).toEqual(['a', 'b', 'a']);
});

it('costs nobody a turn if one that waits is gone', () => {
  const queue = new Queue();
  for (const name of ['a', 'b']) queue.wait(name, false);
  for (const name of ['c', 'd']) queue.wait(name, true);
  for (const name of ['a', 'c']) queue.turns.leave(name);
  queue.clock.advance(2);
  expect(queue.sent).toEqual(['d', 'b']);
  queue.wait('e', false);
  queue.turns.leave('e');
  queue.clock.advance(1);
  expect(queue.sent).toEqual(['d', 'b']);
  expect(queue.clock.waiting).toBe(0);
});
