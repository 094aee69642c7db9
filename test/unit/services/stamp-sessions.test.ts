import { expect, it } from 'vitest';
import { StampSessions } from '../../../src/services/stamp-sessions.ts';

const minuteUs = 60e6;

it('numbers the packets of each session from 0', () => {
  const sessions = new StampSessions();
  const names = ['a', 'a', 'b', 'a', 'b', 'c'];
  expect(names.map((name) => sessions.next(name, '192.0.2.1', 0))).toEqual([0, 1, 0, 2, 1, 0]);
});

it('starts a new session after a quarter of an hour of silence', () => {
  const sessions = new StampSessions();
  const times = [0, 15 * minuteUs, 30 * minuteUs, 45 * minuteUs + 1];
  expect(times.map((us) => sessions.next('a', '192.0.2.1', us))).toEqual([0, 1, 2, 0]);
});

it('goes on when the clock is set back', () => {
  const sessions = new StampSessions();
  expect([60 * minuteUs, 0, 1].map((us) => sessions.next('a', '192.0.2.1', us))).toEqual([0, 1, 2]);
});

it('holds 4096 sessions, and ends the one that was silent for longest', () => {
  const sessions = new StampSessions();
  const next = (name: string): number => sessions.next(name, '192.0.2.1', 0);
  next('busy');
  next('silent');
  for (let number = 0; number < 4094; number += 1) next(`other ${number}`);
  expect(next('busy')).toBe(1);
  next('one too many');
  expect(next('busy')).toBe(2);
  expect(next('silent')).toBe(0);
});

it.each([
  ['192.0.2.7', (number: number) => `203.0.113.${number % 256}`, '203.0.112.9'],
  ['2001:db8:1::7', (number: number) => `2001:db8:2:${(number % 65_536).toString(16)}::9`, '2001:db8:3::9'],
  ['2001:db8:1::7', (number: number) => `fe80::${(number + 1).toString(16)}%eth0`, 'fe80::9%eth1'],
])('keeps those of %s, however many another network begins', (honest, attacker, other) => {
  const sessions = new StampSessions();
  expect(sessions.next('honest', honest, 0)).toBe(0);
  for (let number = 0; number < 10_000; number += 1) sessions.next(`attack ${number}`, attacker(number), 0);
  expect(sessions.next('honest', honest, 0)).toBe(1);
  // There is room for a newcomer, too, who takes the place of the attacker's oldest.
  expect(['other', 'other', 'honest'].map((name) => sessions.next(name, name === 'other' ? other : honest, 0))).toEqual(
    [0, 1, 2],
  );
});
