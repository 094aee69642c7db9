import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { type Activity, isHung, isOverdue, lengthen, noSilence, type Silence } from './silence.ts';

/**
 * The supervisor's decisions as a pure function: (state, event) → (state, effects). Nothing here forks, kills or waits.
 * All times are milliseconds on the monotonic clock.
 */
const limits = {
  /** Minimum time from one start of a slot to its next, doubled at each death. */
  minGapMs: 1000,
  maxGapMs: 60_000,
  /** Earlier deaths are forgotten after being ready this long. */
  healthyMs: 60_000,
  /** After five deaths in a minute, the slot rests. */
  deaths: 5,
  deathsWindowMs: 60_000,
  /** A worker silent for this long is considered hung, unless it is starved. */
  silentMs: 5000,
} as const;

/** How long a worker may be silent while it is still loading code and config. A check has as long. */
export const startPatienceMs = 30_000;

/** How long a slot rests after too many deaths. */
export const restMs = 60_000;

/** `waiting`: restarts soon. `resting`: restarts after `restMs`. */
type SlotStatus = 'starting' | 'ready' | 'waiting' | 'resting' | 'stopped';

export interface Slot {
  readonly status: SlotStatus;
  readonly startedMs: number;
  readonly heardMs: number;
  /** Since `heardMs`, as of the last tick. */
  readonly silence: Silence;
  readonly readyMs: number;
  readonly gapMs: number;
  readonly deathsMs: readonly number[];
}

export interface PolicyState {
  readonly slots: readonly Slot[];
  readonly stopping: boolean;
  /** Whether the start has succeeded. */
  readonly served: boolean;
  readonly tickedMs: number;
}

export type PolicyEvent =
  | { readonly type: 'ready' | 'heard' | 'died' | 'due'; readonly slot: number; readonly nowMs: number }
  /** Sent every `tickPeriodMs`. `activities`: what the slots in `overdue` have done, if known. */
  | { readonly type: 'tick'; readonly nowMs: number; readonly activities: ReadonlyMap<number, Activity> }
  | { readonly type: 'stop'; readonly nowMs: number };

export type PolicyEffect =
  | { readonly type: 'fork' | 'kill' | 'stop'; readonly slot: number }
  /** Send `due` for the slot after `delayMs`. */
  | { readonly type: 'wait'; readonly slot: number; readonly delayMs: number }
  | { readonly type: 'exit'; readonly code: ExitCode };

export type Decision = readonly [PolicyState, readonly PolicyEffect[]];

/** The first decision: fork every slot. */
export function begin(slots: number, nowMs: number): Decision {
  const slot: Slot = { ...started(nowMs), gapMs: limits.minGapMs, deathsMs: [] };
  const all = Array.from({ length: slots }, () => slot);
  const forks = all.map((_, index) => ({ type: 'fork', slot: index }) as const);
  return [{ slots: all, stopping: false, served: false, tickedMs: nowMs }, forks];
}

export function decide(state: PolicyState, event: PolicyEvent): Decision {
  switch (event.type) {
    case 'ready':
      return [
        noteServed(change(state, event.slot, { status: 'ready', readyMs: event.nowMs, ...heard(event.nowMs) })),
        [],
      ];
    case 'heard':
      // During startup only `ready` counts: a service that never comes up must not look alive.
      if (slotOf(state, event.slot).status === 'starting') return [state, []];
      return [change(state, event.slot, heard(event.nowMs)), []];
    case 'died':
      return state.stopping ? stopped(state, event.slot) : died(state, event.slot, event.nowMs);
    case 'due':
      return due(state, event.slot, event.nowMs);
    case 'tick':
      return tick(state, event.nowMs, event.activities);
    case 'stop':
      return stop(state);
  }
}

/** Whether the slot has a process. */
export function isAlive({ status }: Slot): boolean {
  return status === 'starting' || status === 'ready';
}

/** The slots whose worker's activity the next tick must know. */
export function overdue({ slots }: PolicyState): readonly number[] {
  return slots.flatMap((slot, index) => (isAlive(slot) && isOverdue(slot.silence) ? [index] : []));
}

function heard(nowMs: number): Pick<Slot, 'heardMs' | 'silence'> {
  return { heardMs: nowMs, silence: noSilence };
}

function died(before: PolicyState, index: number, nowMs: number): Decision {
  const slot = slotOf(before, index);
  const healthy = nowMs - slot.readyMs >= limits.healthyMs;
  const deathsMs = [...(healthy ? [] : slot.deathsMs.filter((at) => nowMs - at < limits.deathsWindowMs)), nowMs];
  if (deathsMs.length >= limits.deaths) {
    const state = noteServed(change(before, index, { status: 'resting', deathsMs: [], gapMs: limits.minGapMs }));
    return orExit(state, [{ type: 'wait', slot: index, delayMs: restMs }]);
  }
  const gapMs = healthy ? limits.minGapMs : slot.gapMs;
  const delayMs = Math.max(0, slot.startedMs + gapMs - nowMs);
  const next = { status: 'waiting', deathsMs, gapMs: Math.min(gapMs * 2, limits.maxGapMs) } as const;
  return [change(before, index, next), [{ type: 'wait', slot: index, delayMs }]];
}

/** Whether at least one worker serves, and none is about to. */
export function isUp({ slots }: PolicyState): boolean {
  const isComing = slots.some(({ status }) => status === 'starting' || status === 'waiting');
  return !isComing && slots.some(({ status }) => status === 'ready');
}

function noteServed(state: PolicyState): PolicyState {
  return isUp(state) ? { ...state, served: true } : state;
}

/**
 * Returns the effects, or ends a daemon that has never been ready if all slots rest. One that has served keeps its
 * sockets: otherwise whoever can kill its workers could end it, and take its ports.
 */
function orExit(state: PolicyState, effects: readonly PolicyEffect[]): Decision {
  const isHopeless = !state.served && state.slots.every(({ status }) => status === 'resting');
  return isHopeless ? [state, [{ type: 'exit', code: exitCodes.workersKeepDying }]] : [state, effects];
}

function started(nowMs: number): Omit<Slot, 'gapMs' | 'deathsMs'> {
  return { status: 'starting', startedMs: nowMs, ...heard(nowMs), readyMs: Number.POSITIVE_INFINITY };
}

function due(state: PolicyState, index: number, nowMs: number): Decision {
  const { status } = slotOf(state, index);
  if (state.stopping || (status !== 'waiting' && status !== 'resting')) return [state, []];
  return [change(state, index, started(nowMs)), [{ type: 'fork', slot: index }]];
}

function tick(before: PolicyState, nowMs: number, activities: ReadonlyMap<number, Activity>): Decision {
  const looked = before.slots.map((slot, index) => {
    if (!isAlive(slot)) return slot;
    const elapsedMs = nowMs - Math.max(before.tickedMs, slot.heardMs);
    return { ...slot, silence: lengthen(slot.silence, elapsedMs, activities.get(index)) };
  });
  const hung = looked.flatMap((slot, index) => (isHung(slot.silence, patienceMs(slot)) ? [index] : []));
  // A killed worker gets the same time to exit, so there is one kill order, not one per tick.
  const slots = looked.map((slot, index) => (hung.includes(index) ? { ...slot, ...heard(nowMs) } : slot));
  return [{ ...before, slots, tickedMs: nowMs }, hung.map((slot) => ({ type: 'kill', slot }) as const)];
}

function patienceMs({ status }: Slot): number {
  return status === 'starting' ? startPatienceMs : limits.silentMs;
}

function stop(before: PolicyState): Decision {
  if (before.stopping) return [before, []];
  const slots = before.slots.map((slot) => (isAlive(slot) ? slot : { ...slot, status: 'stopped' as const }));
  const state = { ...before, slots, stopping: true };
  const stops = slots.flatMap((slot, index) => (isAlive(slot) ? [{ type: 'stop', slot: index } as const] : []));
  return [state, stops.length === 0 ? [{ type: 'exit', code: exitCodes.stopped }] : stops];
}

function stopped(before: PolicyState, index: number): Decision {
  const state = change(before, index, { status: 'stopped' });
  return [state, state.slots.some(isAlive) ? [] : [{ type: 'exit', code: exitCodes.stopped }]];
}

function change(state: PolicyState, index: number, patch: Partial<Slot>): PolicyState {
  return { ...state, slots: state.slots.map((slot, at) => (at === index ? { ...slot, ...patch } : slot)) };
}

function slotOf(state: PolicyState, index: number): Slot {
  const slot = state.slots[index];
  if (slot === undefined) throw new RangeError(`there is no worker slot ${index}`);
  return slot;
}
