import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { AdminConnections, type Evictable } from '../../../../src/server/admin/connections.ts';

type State = Evictable['state'];

class FakeConnection implements Evictable {
  state: State;
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
  const connections = new AdminConnections((task) => task());
  const all = states.map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  expect(connections.size).toBe(24);
  connections.add(new FakeConnection('asking'));
  expect(connections.size).toBe(24);
  expect(all.filter(({ isDestroyed }) => isDestroyed)).toHaveLength(1);
  return all.findIndex(({ isDestroyed }) => isDestroyed);
}

const many = (state: State, count: number): readonly State[] => Array.from({ length: count }, () => state);

it('evicts nothing up to 24 connections', () => {
  const connections = new AdminConnections();
  const all = many('asking', 24).map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  expect(all.some(({ isDestroyed }) => isDestroyed)).toBe(false);
});

it.each<[string, readonly State[], number]>([
  ['the longest silent asking connection', many('asking', 24), 0],
  ['an asking connection before an answering one', [...many('answering', 16), ...many('asking', 8)], 16],
  ['a closing connection first', [...many('answering', 3), ...many('asking', 20), 'closing'], 23],
  ['the longest silent answering connection', many('answering', 24), 0],
  ['an answering connection if most are answering', [...many('asking', 7), ...many('answering', 17)], 7],
])('evicts %s', (_, states, index) => {
  expect(evicted(states)).toBe(index);
});

it('defers eviction until pending input is read, for at most eight extra connections', () => {
  const later: (() => void)[] = [];
  const connections = new AdminConnections((task) => void later.push(task));
  const crowd = many('asking', 30).map((state) => new FakeConnection(state));
  const probe = new FakeConnection('asking');
  for (const each of [probe, ...crowd]) connections.add(each);
  expect(probe.isDestroyed).toBe(false);
  connections.heard(probe);
  for (const task of later.splice(0)) task();
  expect([probe, ...crowd].findIndex(({ isDestroyed }) => isDestroyed)).toBe(1);
  expect(connections.size).toBe(24);
  for (const state of many('asking', 100)) connections.add(new FakeConnection(state));
  expect(connections.size).toBe(32);
  for (const task of later.splice(0)) task();
  expect(connections.size).toBe(24);
});

it('resets the silence of a connection on input', () => {
  const connections = new AdminConnections((task) => task());
  const all = many('asking', 24).map((state) => new FakeConnection(state));
  for (const each of all) connections.add(each);
  for (const each of all.slice(0, 23)) connections.heard(each);
  connections.add(new FakeConnection('asking'));
  expect(all.findIndex(({ isDestroyed }) => isDestroyed)).toBe(23);
});

it('keeps a new connection through the next seven', () => {
  const states = fc.array(fc.constantFrom<State>('asking', 'answering', 'closing'), { maxLength: 100 });
  fc.assert(
    fc.property(states, (others) => {
      const connections = new AdminConnections((task) => task());
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
  const connections = new AdminConnections();
  const gone = new FakeConnection('asking');
  connections.add(gone);
  connections.remove(gone);
  connections.heard(gone);
  expect(connections.size).toBe(0);
});
