import { expect, it } from 'vitest';
import { StampSessions } from '../../../src/services/stamp-sessions.ts';

const minuteUs = 60e6;

it('numbers the packets of each session from 0', () => {
  const sessions = new StampSessions();
  const names = ['a', 'a', 'b', 'a', 'b', 'c'];
  expect(names.map((name) => sessions.next(name, 0))).toEqual([0, 1, 0, 2, 1, 0]);
});

it('starts a new session after a quarter of an hour of silence', () => {
  const sessions = new StampSessions();
  const times = [0, 15 * minuteUs, 30 * minuteUs, 45 * minuteUs + 1];
  expect(times.map((us) => sessions.next('a', us))).toEqual([0, 1, 2, 0]);
});

it('goes on when the clock is set back', () => {
  const sessions = new StampSessions();
  expect([60 * minuteUs, 0, 1].map((us) => sessions.next('a', us))).toEqual([0, 1, 2]);
});

it('holds 4096 sessions, and ends the one that was silent for longest', () => {
  const sessions = new StampSessions();
  sessions.next('busy', 0);
  sessions.next('silent', 0);
  for (let number = 0; number < 4094; number += 1) sessions.next(`other ${number}`, 0);
  expect(sessions.next('busy', 0)).toBe(1);
  sessions.next('one too many', 0);
  expect(sessions.next('busy', 0)).toBe(2);
  expect(sessions.next('silent', 0)).toBe(0);
});
