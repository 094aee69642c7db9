import { formatHostPort } from '../../address/host-port.ts';
import { SmallservdError } from '../../errors.ts';
import type { PlannedListener } from '../transport/plan.ts';

/** What a new plan changes. */
export type ListenerChanges = Readonly<Record<'added' | 'removed' | 'kept', readonly PlannedListener[]>>;

/**
 * Compares two plans. Throws `RELOAD_NEEDS_RESTART`, naming both sides, if the new plan cannot open while the old one
 * is open: an address that overlaps another (all interfaces and a single one), other ports for the system to choose, a
 * descriptor that was closed.
 */
export function listenerChanges(
  old: readonly PlannedListener[],
  next: readonly PlannedListener[],
  droppedDescriptors: ReadonlySet<number>,
): ListenerChanges {
  const pairs = pairListeners(next, old);
  const keptNew = new Set(pairs.map(([each]) => each));
  const keptOld = new Set(pairs.map(([, each]) => each));
  const added = next.filter((each) => !keptNew.has(each));
  for (const each of added) {
    const other = old.find((candidate) => overlaps(each, candidate));
    if (other !== undefined) throw needsRestart(`${nameOf(each)} overlaps ${nameOf(other)}, which is open now`);
    if ('fd' in each.target && droppedDescriptors.has(each.target.fd))
      throw needsRestart(`${nameOf(each)}: descriptor ${each.target.fd} was closed by an earlier reload`);
  }
  const chosen = [chosenPorts(old), chosenPorts(next)];
  if (chosen[0] !== chosen[1])
    throw needsRestart(`listeners with port 0 change: ${chosen[0] || 'none'} now, ${chosen[1] || 'none'} then`);
  return { added, removed: old.filter((each) => !keptOld.has(each)), kept: next.filter((each) => keptNew.has(each)) };
}

/** Pairs the listeners in both plans: the same transport, address, port and family, in any service. */
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

function keysOf(plan: readonly PlannedListener[]): ReadonlyMap<string, PlannedListener> {
  const keyed = new Map<string, PlannedListener>();
  for (const each of plan) {
    const key = keyOf(each);
    // Listeners with port 0 are distinguished by their order.
    let turn = 0;
    while (keyed.has(`${key} ${turn}`)) turn += 1;
    keyed.set(`${key} ${turn}`, each);
  }
  return keyed;
}

function keyOf({ target }: PlannedListener): string {
  if ('fd' in target) return `fd ${target.fd}`;
  if (target.transport === 'unix') return `unix ${target.path}`;
  return `${target.transport} ${target.family} ${target.address} ${target.port}`;
}

/** Listeners on system-chosen ports with their services, in order, which is all that identifies them in the cluster. */
function chosenPorts(plan: readonly PlannedListener[]): string {
  return plan
    .filter(({ target }) => 'port' in target && target.port === 0)
    .map(nameOf)
    .join(', ');
}

function overlaps({ target: one }: PlannedListener, { target: other }: PlannedListener): boolean {
  if (!('port' in one) || !('port' in other) || one.port === 0) return false;
  if (one.transport !== other.transport || one.family !== other.family || one.port !== other.port) return false;
  return [one.address, other.address].some((address) => address === '0.0.0.0' || address === '::');
}

function nameOf({ service, text, target }: PlannedListener): string {
  const address = 'port' in target ? `${target.transport}://${formatHostPort(target.address, target.port)}` : text;
  return `${service} ${address}`;
}

/** Returns the error for changes that a reload cannot make. */
export function needsRestart(...changes: readonly string[]): SmallservdError {
  const lines = changes.map((change) => `this change needs a restart: ${change}`);
  return new SmallservdError('RELOAD_NEEDS_RESTART', lines.join('\n'));
}
