import { SmallservdError } from '../../errors.ts';
import type { PlannedListener } from '../transport/plan.ts';

/** What a new plan changes. */
export type ListenerChanges = Readonly<Record<'added' | 'removed' | 'kept', readonly PlannedListener[]>>;

/** Compares two plans. */
export function listenerChanges(old: readonly PlannedListener[], next: readonly PlannedListener[]): ListenerChanges {
  const pairs = pairListeners(next, old);
  const keptNew = new Set(pairs.map(([each]) => each));
  const keptOld = new Set(pairs.map(([, each]) => each));
  return {
    added: next.filter((each) => !keptNew.has(each)),
    removed: old.filter((each) => !keptOld.has(each)),
    kept: next.filter((each) => keptNew.has(each)),
  };
}

/** Pairs the listeners in both plans that can share a socket: the same transport, family, address and port. */
export function pairListeners(
  one: readonly PlannedListener[],
  other: readonly PlannedListener[],
): readonly (readonly [PlannedListener, PlannedListener])[] {
  const keyed = keysOf(other);
  return [...keysOf(one)].flatMap(([key, each]) => {
    const twin = keyed.get(key);
    return twin === undefined ? [] : [[each, twin] as const];
  });
}

/** Whether one listener is on all interfaces and the other on a single address, with the same port. */
export function overlaps({ target: one }: PlannedListener, { target: other }: PlannedListener): boolean {
  if (!('port' in one) || !('port' in other) || one.port === 0) return false;
  if (one.transport !== other.transport || one.family !== other.family || one.port !== other.port) return false;
  return [one.address, other.address].some((address) => address === '0.0.0.0' || address === '::');
}

function keysOf(plan: readonly PlannedListener[]): ReadonlyMap<string, PlannedListener> {
  const keyed = new Map<string, PlannedListener>();
  for (const each of plan) {
    const key = keyOf(each);
    // Several listeners of a service with port 0 are distinguished by their order.
    let turn = 0;
    while (keyed.has(`${key} ${turn}`)) turn += 1;
    keyed.set(`${key} ${turn}`, each);
  }
  return keyed;
}

function keyOf({ service, target }: PlannedListener): string {
  if ('fd' in target) return `fd ${target.fd}`;
  if (target.transport === 'unix') return `unix ${target.path}`;
  const key = `${target.transport} ${target.family} ${target.address} ${target.port}`;
  // Another service's clients would not expect a port that the system chose for this one.
  return target.port === 0 ? `${key} ${service}` : key;
}

/** Returns the error for changes that a reload cannot make. */
export function needsRestart(...changes: readonly string[]): SmallservdError {
  const lines = changes.map((change) => `this change needs a restart: ${change}`);
  return new SmallservdError('RELOAD_NEEDS_RESTART', lines.join('\n'));
}
