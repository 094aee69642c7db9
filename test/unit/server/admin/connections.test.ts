import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenFiles } from '../../../../src/open-files.ts';
import { AdminConnections, type Evictable, newcomersFor } from '../../../../src/server/admin/connections.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

type State = Evictable['state'];

class FakeConnection implements Evictable {
  state: State;
  isProbe = false;
  source = '192.0.2.1';
  isDestroyed = false;

  constructor(state: State) {
    this.state = state;
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

/** With these states, silent longest first: the place of the one that a newcomer costs. */
function evicted(states: readonly State[]): number {
  const clock = new FakeClock();
  const connections = new AdminConnections(clock, 8);
  const all = states.map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  expect(connections.size).toBe(24);
  connections.add(new FakeConnection('asking'));
  expect(all.some(({ isDestroyed }) => isDestroyed)).toBe(false);
  clock.advance(100);
  expect(connections.size).toBe(24);
  expect(clock.waiting).toBe(0);
  expect(all.filter(({ isDestroyed }) => isDestroyed)).toHaveLength(1);
  return all.findIndex(({ isDestroyed }) => isDestroyed);
}

const many = (state: State, count: number): readonly State[] => Array.from({ length: count }, () => state);

it('evicts nothing up to 24 connections', () => {
  const clock = new FakeClock();
  const connections = new AdminConnections(clock, 8);
  const all = many('asking', 24).map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  clock.advance(100);
  expect(all.some(({ isDestroyed }) => isDestroyed)).toBe(false);
});

it.each<[string, readonly State[], number]>([
  ['the longest silent asking connection', many('asking', 24), 0],
  ['an asking connection before an answering one', [...many('answering', 16), ...many('asking', 8)], 16],
  ['a closing connection if it is silent longest', [...many('answering', 3), 'closing', ...many('asking', 20)], 3],
  ['no closing connection that was heard later', [...many('answering', 3), ...many('asking', 20), 'closing'], 3],
  ['the longest silent answering connection', many('answering', 24), 0],
  ['an answering connection if most are answering', [...many('asking', 7), ...many('answering', 17)], 7],
])('evicts %s', (_, states, index) => {
  expect(evicted(states)).toBe(index);
});

/** The places of those that this many newcomers cost. */
function evictedBy(newcomers: number, all: readonly FakeConnection[]): readonly number[] {
  const clock = new FakeClock();
  const connections = new AdminConnections(clock, newcomers);
  for (const each of all) connections.add(each);
  for (const state of many('asking', newcomers)) connections.add(new FakeConnection(state));
  clock.advance(100);
  return all.flatMap(({ isDestroyed }, place) => (isDestroyed ? [place] : []));
}

describe('if most are being answered', () => {
  it('evicts no health probe that waits for its answer, but others', () => {
    const all = many('answering', 24).map((state) => new FakeConnection(state));
    for (const place of [0, 1, 5]) all[place]!.isProbe = true;
    expect(evictedBy(4, all)).toEqual([2, 3, 4, 6]);
  });

  it('evicts a health probe that has its answer', () => {
    const all = many('answering', 24).map((state) => new FakeConnection(state));
    Object.assign(all[0]!, { isProbe: true, state: 'closing' });
    expect(evictedBy(1, all)).toEqual([0]);
  });

  it('evicts the health probe silent longest if nobody else is being answered', () => {
    const all = many('answering', 24).map((state) => new FakeConnection(state));
    for (const each of all) each.isProbe = true;
    expect(evictedBy(1, all)).toEqual([0]);
  });

  it('evicts one of many that are asking before a health probe', () => {
    const all = [...many('answering', 17), ...many('asking', 9)].map((state) => new FakeConnection(state));
    for (const each of all.slice(0, 17)) each.isProbe = true;
    expect(evictedBy(2, all)).toContain(17);
    expect(all.slice(0, 17).some(({ isDestroyed }) => isDestroyed)).toBe(false);
  });

  it('evicts those of the source with most connections', () => {
    const all = many('answering', 24).map((state) => new FakeConnection(state));
    for (const [place, each] of all.entries()) each.source = place < 8 ? 'one' : 'other';
    expect(evictedBy(8, all)).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it('evicts those silent longest if no source has more than 8 connections', () => {
    const all = many('answering', 24).map((state) => new FakeConnection(state));
    for (const [place, each] of all.entries()) each.source = place < 8 ? `192.0.2.${place}` : '2001:db8::';
    for (const each of all.slice(16)) each.source = '192.0.2.77';
    expect(evictedBy(2, all)).toEqual([0, 1]);
  });
});

it('lets newcomers be silent for 100 ms before one is evicted, as many as it is given', () => {
  const clock = new FakeClock();
  const connections = new AdminConnections(clock, 200);
  const probe = new FakeConnection('asking');
  const crowd = many('asking', 223).map((state) => new FakeConnection(state));
  for (const each of [probe, ...crowd]) connections.add(each);
  clock.advance(99);
  expect(connections.size).toBe(224);
  connections.heard(probe);
  clock.advance(1);
  expect(connections.size).toBe(24);
  expect([probe, ...crowd].findIndex(({ isDestroyed }) => isDestroyed)).toBe(1);
  expect(probe.isDestroyed).toBe(false);
  for (const state of many('asking', 300)) connections.add(new FakeConnection(state));
  expect(connections.size).toBe(224);
});

it('evicts nobody for a newcomer that is gone within that time', () => {
  const clock = new FakeClock();
  const connections = new AdminConnections(clock, 8);
  const all = many('asking', 30).map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  for (const each of all.slice(0, 4)) connections.remove(each);
  expect(clock.waiting).toBe(2);
  for (const each of all.slice(4, 6)) connections.remove(each);
  expect(clock.waiting).toBe(0);
  clock.advance(100);
  expect(connections.size).toBe(24);
});

it.each<[string, OpenFiles | undefined, number]>([
  ['200', { limit: 1024, open: 30 }, 200],
  ['200 if the limit is unknown', undefined, 200],
  ['a quarter of the free descriptors', { limit: 256, open: 56 }, 50],
  ['at least 8', { limit: 64, open: 60 }, 8],
])('allows %s of them', (_, files, expected) => {
  expect(newcomersFor(files)).toBe(expected);
});

it('resets the silence of a connection on input', () => {
  const clock = new FakeClock();
  const connections = new AdminConnections(clock, 8);
  const all = many('asking', 24).map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  for (const each of all.slice(0, 23)) connections.heard(each);
  connections.add(new FakeConnection('asking'));
  clock.advance(100);
  expect(all.findIndex(({ isDestroyed }) => isDestroyed)).toBe(23);
});

it('keeps a new connection through the next seven', () => {
  const states = fc.array(fc.constantFrom<State>('asking', 'answering', 'closing'), { maxLength: 100 });
  fc.assert(
    fc.property(states, (others) => {
      const connections = new AdminConnections(new FakeClock(), 0);
      for (const state of others) connections.add(new FakeConnection(state));
      const probe = new FakeConnection('asking');
      connections.add(probe);
      for (let next = 0; next < 7; next += 1) connections.add(new FakeConnection('asking'));
      expect(probe.isDestroyed).toBe(false);
      expect(connections.size).toBeLessThanOrEqual(24);
    }),
  );
});

it('does not count or restore a removed connection', () => {
  const connections = new AdminConnections(new FakeClock(), 8);
  const gone = new FakeConnection('asking');
  connections.add(gone);
  connections.remove(gone);
  connections.heard(gone);
  expect(connections.size).toBe(0);
});
