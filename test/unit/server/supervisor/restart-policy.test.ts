import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  begin,
  decide,
  isAlive,
  overdue,
  type PolicyEffect,
  type PolicyEvent,
  type PolicyState,
  type Slot,
} from '../../../../src/server/supervisor/restart-policy.ts';
import { type Activity, noSilence, type Silence } from '../../../../src/server/supervisor/silence.ts';

const never = Number.POSITIVE_INFINITY;

/** A slot that was started at 100 s, and is ready since 101 s. */
const ready: Slot = {
  status: 'ready',
  startedMs: 100_000,
  heardMs: 101_000,
  silence: noSilence,
  readyMs: 101_000,
  gapMs: 1000,
  deathsMs: [],
};
const starting: Slot = { ...ready, status: 'starting', heardMs: 100_000, readyMs: never };
const waiting: Slot = { ...starting, status: 'waiting', gapMs: 2000, deathsMs: [100_500] };
const resting: Slot = { ...starting, status: 'resting' };
const stopped: Slot = { ...ready, status: 'stopped' };

function state(slots: readonly Slot[], rest: Partial<PolicyState> = {}): PolicyState {
  return { slots, stopping: false, served: false, tickedMs: 101_000, ...rest };
}

/** What is expected of the state: the slots, and what else differs from before. */
type Row = readonly [
  rule: string,
  before: PolicyState,
  event: PolicyEvent,
  after: PolicyState,
  effects: readonly PolicyEffect[],
];

function death(nowMs: number, slot = 0): PolicyEvent {
  return { type: 'died', slot, nowMs };
}

/** Of a process that waits for a processor. */
const starved: Activity = { cpuMs: 0, majorFaults: 0, isRunnable: true };

function tickAt(nowMs: number, ...activities: (readonly [number, Activity])[]): PolicyEvent {
  return { type: 'tick', nowMs, activities: new Map(activities) };
}

/** A slot that has been silent; it could have reported all the time unless said otherwise. */
function silent(slot: Slot, watchedMs: number, usableMs = watchedMs, activity?: Activity): Slot {
  const silence: Silence = { watchedMs, usableMs, activity };
  return { ...slot, silence };
}

const fourDeaths = [101_000, 102_000, 104_000, 108_000];

const table: readonly Row[] = [
  [
    'marks a worker ready when it reports ready',
    state([starting, starting]),
    { type: 'ready', slot: 1, nowMs: 102_000 },
    state([starting, { ...starting, status: 'ready', readyMs: 102_000, heardMs: 102_000 }]),
    [],
  ],
  [
    'has served once the last worker is ready',
    state([ready, starting]),
    { type: 'ready', slot: 1, nowMs: 102_000 },
    state([ready, { ...starting, status: 'ready', readyMs: 102_000, heardMs: 102_000 }], { served: true }),
    [],
  ],
  [
    'records a heartbeat',
    state([starting, ready]),
    { type: 'heard', slot: 1, nowMs: 103_000 },
    state([starting, { ...ready, heardMs: 103_000 }]),
    [],
  ],
  [
    'ignores a heartbeat of a starting worker',
    state([starting, ready]),
    { type: 'heard', slot: 0, nowMs: 103_000 },
    state([starting, ready]),
    [],
  ],
  [
    'restarts a worker at once if it ran for more than a second',
    state([ready, ready]),
    death(105_000),
    state([{ ...ready, status: 'waiting', gapMs: 2000, deathsMs: [105_000] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 0 }],
  ],
  [
    'leaves a second between two starts',
    state([starting, ready]),
    death(100_300),
    state([{ ...starting, status: 'waiting', gapMs: 2000, deathsMs: [100_300] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 700 }],
  ],
  [
    'doubles the gap after each death',
    state([{ ...starting, gapMs: 4000, deathsMs: [98_000] }, ready]),
    death(100_500),
    state([{ ...starting, status: 'waiting', gapMs: 8000, deathsMs: [98_000, 100_500] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 3500 }],
  ],
  [
    'caps the gap at a minute',
    state([{ ...starting, gapMs: 60_000 }, ready]),
    death(100_000),
    state([{ ...starting, status: 'waiting', gapMs: 60_000, deathsMs: [100_000] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 60_000 }],
  ],
  [
    'resets the gap and the deaths after a healthy minute',
    state([{ ...ready, gapMs: 32_000, deathsMs: fourDeaths }, ready]),
    death(161_000),
    state([{ ...ready, status: 'waiting', gapMs: 2000, deathsMs: [161_000] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 0 }],
  ],
  [
    'keeps the gap and the deaths after just under a healthy minute',
    state([{ ...ready, gapMs: 64_000, deathsMs: [160_000] }, ready]),
    death(160_999),
    state([{ ...ready, status: 'waiting', gapMs: 60_000, deathsMs: [160_000, 160_999] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 3001 }],
  ],
  [
    'does not count starting as healthy time',
    state([{ ...starting, gapMs: 4000, deathsMs: [99_000] }, ready]),
    death(158_999),
    state([{ ...starting, status: 'waiting', gapMs: 8000, deathsMs: [99_000, 158_999] }, ready]),
    [{ type: 'wait', slot: 0, delayMs: 0 }],
  ],
  [
    'rests a slot for a minute after five deaths in a minute',
    state([{ ...starting, gapMs: 16_000, deathsMs: fourDeaths }, ready]),
    death(116_000),
    state([{ ...starting, status: 'resting', gapMs: 1000, deathsMs: [] }, ready], { served: true }),
    [{ type: 'wait', slot: 0, delayMs: 60_000 }],
  ],
  [
    'forgets deaths more than a minute ago',
    state([{ ...starting, startedMs: 161_000, gapMs: 16_000, deathsMs: fourDeaths }, ready]),
    death(161_000),
    state([
      {
        ...starting,
        startedMs: 161_000,
        status: 'waiting',
        gapMs: 32_000,
        deathsMs: [102_000, 104_000, 108_000, 161_000],
      },
      ready,
    ]),
    [{ type: 'wait', slot: 0, delayMs: 16_000 }],
  ],
  [
    'exits with 70 when every slot rests',
    state([{ ...starting, deathsMs: fourDeaths }, resting]),
    death(116_000),
    state([{ ...starting, status: 'resting' }, resting]),
    [{ type: 'exit', code: 70 }],
  ],
  [
    'never exits once it has served',
    state([{ ...starting, deathsMs: fourDeaths }, resting], { served: true }),
    death(116_000),
    state([{ ...starting, status: 'resting' }, resting], { served: true }),
    [{ type: 'wait', slot: 0, delayMs: 60_000 }],
  ],
  [
    'keeps running while a slot waits for its restart',
    state([{ ...starting, deathsMs: fourDeaths }, waiting]),
    death(116_000),
    state([{ ...starting, status: 'resting' }, waiting]),
    [{ type: 'wait', slot: 0, delayMs: 60_000 }],
  ],
  [
    'restarts the workers even if none is left',
    state([ready, waiting]),
    death(105_000),
    state([{ ...ready, status: 'waiting', gapMs: 2000, deathsMs: [105_000] }, waiting]),
    [{ type: 'wait', slot: 0, delayMs: 0 }],
  ],
  ...[waiting, resting].map(
    (slot): Row => [
      `forks a ${slot.status} slot when due`,
      state([slot, ready]),
      { type: 'due', slot: 0, nowMs: 170_000 },
      state([{ ...slot, status: 'starting', startedMs: 170_000, heardMs: 170_000, readyMs: never }, ready]),
      [{ type: 'fork', slot: 0 }],
    ],
  ),
  ...[starting, ready, stopped].map(
    (slot): Row => [
      `does not fork a ${slot.status} slot when due`,
      state([slot, ready]),
      { type: 'due', slot: 0, nowMs: 170_000 },
      state([slot, ready]),
      [],
    ],
  ),
  [
    'forks nothing after stop',
    state([waiting, ready], { stopping: true }),
    { type: 'due', slot: 0, nowMs: 170_000 },
    state([waiting, ready], { stopping: true }),
    [],
  ],
  [
    'kills only a worker unresponsive for 5 s, once',
    state([silent(ready, 4500), silent({ ...ready, heardMs: 101_001 }, 4499)], { tickedMs: 105_500 }),
    tickAt(106_000),
    state([{ ...ready, heardMs: 106_000 }, silent({ ...ready, heardMs: 101_001 }, 4999)], { tickedMs: 106_000 }),
    [{ type: 'kill', slot: 0 }],
  ],
  [
    'counts the silence since the last report only',
    state([{ ...ready, heardMs: 105_900 }], { tickedMs: 105_500 }),
    tickAt(106_000),
    state([silent({ ...ready, heardMs: 105_900 }, 100, 0)], { tickedMs: 106_000 }),
    [],
  ],
  [
    'forgets the silence at the next heartbeat',
    state([silent(ready, 4500), ready]),
    { type: 'heard', slot: 0, nowMs: 103_000 },
    state([{ ...ready, heardMs: 103_000 }, ready]),
    [],
  ],
  [
    'allows a starting worker 30 s before killing it',
    state([silent(starting, 29_500), silent(starting, 29_499)], { tickedMs: 129_500 }),
    tickAt(130_000),
    state([{ ...starting, heardMs: 130_000 }, silent(starting, 29_999)], { tickedMs: 130_000 }),
    [{ type: 'kill', slot: 0 }],
  ],
  [
    'never kills a slot without a process',
    state([waiting, resting, stopped], { tickedMs: 999_500 }),
    tickAt(1_000_000),
    state([waiting, resting, stopped], { tickedMs: 1_000_000 }),
    [],
  ],
  [
    'counts one period if the supervisor itself was stopped for longer',
    state([silent(ready, 4499), ready], { tickedMs: 101_000 }),
    tickAt(200_000),
    state([silent(ready, 4999), silent(ready, 500, 0)], { tickedMs: 200_000 }),
    [],
  ],
  [
    'gives a starved worker more time',
    state([silent(ready, 60_000, 1200, starved)], { tickedMs: 199_500 }),
    tickAt(200_000, [0, { ...starved, cpuMs: 10 }]),
    state([silent(ready, 60_500, 1210, { ...starved, cpuMs: 10 })], { tickedMs: 200_000 }),
    [],
  ],
  [
    'kills a starved worker that spins',
    state([silent(ready, 60_000, 1240, starved)], { tickedMs: 199_500 }),
    tickAt(200_000, [0, { ...starved, cpuMs: 10 }]),
    state([{ ...ready, heardMs: 200_000 }], { tickedMs: 200_000 }),
    [{ type: 'kill', slot: 0 }],
  ],
  [
    'kills an unresponsive worker while draining',
    state([silent(ready, 4500)], { stopping: true, tickedMs: 199_500 }),
    tickAt(200_000),
    state([{ ...ready, heardMs: 200_000 }], { stopping: true, tickedMs: 200_000 }),
    [{ type: 'kill', slot: 0 }],
  ],
  [
    'stops live workers and cancels pending restarts on stop',
    state([ready, starting, waiting, resting]),
    { type: 'stop', nowMs: 105_000 },
    state([ready, starting, { ...waiting, status: 'stopped' }, { ...resting, status: 'stopped' }], { stopping: true }),
    [
      { type: 'stop', slot: 0 },
      { type: 'stop', slot: 1 },
    ],
  ],
  [
    'exits with 0 on stop if no worker is alive',
    state([waiting, resting]),
    { type: 'stop', nowMs: 105_000 },
    state(
      [
        { ...waiting, status: 'stopped' },
        { ...resting, status: 'stopped' },
      ],
      { stopping: true },
    ),
    [{ type: 'exit', code: 0 }],
  ],
  [
    'ignores a second stop',
    state([ready], { stopping: true }),
    { type: 'stop', nowMs: 105_000 },
    state([ready], { stopping: true }),
    [],
  ],
  [
    'does not count an ordered exit as a death',
    state([ready, ready], { stopping: true }),
    death(105_000),
    state([stopped, ready], { stopping: true }),
    [],
  ],
  [
    'exits with 0 after the last ordered exit',
    state([stopped, ready], { stopping: true }),
    death(105_000, 1),
    state([stopped, stopped], { stopping: true }),
    [{ type: 'exit', code: 0 }],
  ],
];

describe('decide', () => {
  it.each(table)('%s', (_rule, before, event, after, effects) => {
    const frozen = structuredClone(before);
    expect(decide(before, event)).toEqual([after, effects]);
    expect(before).toEqual(frozen);
  });

  it('throws for an unknown slot', () => {
    expect(() => decide(state([ready]), death(105_000, 1))).toThrow(RangeError);
  });
});

describe('overdue', () => {
  it('names the live workers that have been silent for a second', () => {
    const slots = [silent(ready, 1000), silent(ready, 999), silent(starting, 1500), silent(waiting, 9000)];
    expect(overdue(state(slots))).toEqual([0, 2]);
  });
});

describe('begin', () => {
  it('forks every slot', () => {
    const slot = { ...starting, startedMs: 5000, heardMs: 5000 };
    expect(begin(3, 5000)).toEqual([
      state([slot, slot, slot], { tickedMs: 5000 }),
      [
        { type: 'fork', slot: 0 },
        { type: 'fork', slot: 1 },
        { type: 'fork', slot: 2 },
      ],
    ]);
  });
});

/** What may happen next, to which slot, after how long. */
interface Act {
  readonly kind: 'ready' | 'heard' | 'die' | 'nothing' | 'stop';
  readonly slot: number;
  readonly waitMs: number;
}

const slots = 3;

const acts = fc.array(
  fc.record<Act>({
    kind: fc.oneof(
      { weight: 6, arbitrary: fc.constant('die' as const) },
      { weight: 4, arbitrary: fc.constantFrom('ready', 'heard', 'nothing') },
      { weight: 1, arbitrary: fc.constant('stop' as const) },
    ),
    slot: fc.nat(slots - 1),
    waitMs: fc.oneof(fc.nat(400), fc.nat(5000), fc.nat(100_000)),
  }),
  { maxLength: 60 },
);

/** A supervisor without processes: does what the policy says, in time that costs nothing, and keeps the books. */
class Simulation {
  nowMs = 0;
  state: PolicyState;
  readonly running = new Set<number>();
  readonly starts: number[][] = Array.from({ length: slots }, () => []);
  readonly deaths: number[][] = Array.from({ length: slots }, () => []);
  readonly exits: number[] = [];
  readonly #due: { readonly slot: number; readonly atMs: number }[] = [];
  #forksAfterStop = 0;

  constructor() {
    const [first, effects] = begin(slots, 0);
    this.state = first;
    this.#act(effects);
  }

  get isOver(): boolean {
    return this.exits.length > 0;
  }

  get forksAfterStop(): number {
    return this.#forksAfterStop;
  }

  get isWaitingFor(): (slot: number) => boolean {
    return (slot) => this.#due.some((each) => each.slot === slot);
  }

  dispatch(event: PolicyEvent): void {
    const [next, effects] = decide(this.state, event);
    this.state = next;
    this.#act(effects);
  }

  die(slot: number): void {
    if (!this.running.delete(slot)) return;
    this.deaths[slot]?.push(this.nowMs);
    this.dispatch({ type: 'died', slot, nowMs: this.nowMs });
  }

  /** Time passes: what is due happens, in order. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#due.toSorted((one, other) => one.atMs - other.atMs)[0];
      if (next === undefined || next.atMs > endMs || this.isOver) break;
      this.#due.splice(this.#due.indexOf(next), 1);
      this.nowMs = next.atMs;
      this.dispatch({ type: 'due', slot: next.slot, nowMs: this.nowMs });
    }
    this.nowMs = endMs;
  }

  #act(effects: readonly PolicyEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'fork') {
        expect(this.running.has(effect.slot), 'a fork while the slot has a process').toBe(false);
        if (this.state.stopping) this.#forksAfterStop += 1;
        this.running.add(effect.slot);
        this.starts[effect.slot]?.push(this.nowMs);
      } else if (effect.type === 'wait') {
        this.#due.push({ slot: effect.slot, atMs: this.nowMs + effect.delayMs });
      } else if (effect.type === 'exit') {
        this.exits.push(effect.code);
      }
    }
  }
}

describe('any sequence of events', () => {
  it('respects the restart limits', () => {
    fc.assert(
      fc.property(acts, (list) => {
        const simulation = new Simulation();
        for (const { kind, slot, waitMs } of list) {
          if (simulation.isOver) break;
          const { nowMs } = simulation;
          if (kind === 'die') simulation.die(slot);
          else if (kind === 'stop') simulation.dispatch({ type: 'stop', nowMs });
          else if (kind !== 'nothing' && simulation.running.has(slot)) simulation.dispatch({ type: kind, slot, nowMs });
          checkBooks(simulation);
          simulation.advance(waitMs);
          checkBooks(simulation);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function checkBooks(simulation: Simulation): void {
  const { state: now, running, starts, deaths } = simulation;
  expect(simulation.forksAfterStop).toBe(0);
  expect(simulation.exits.length).toBeLessThanOrEqual(1);
  if (now.served && !now.stopping) expect(simulation.exits).toEqual([]);
  for (const [slot, each] of now.slots.entries()) {
    // The policy's books are ours.
    expect(isAlive(each)).toBe(running.has(slot));
    // A slot that is to come back has somebody who brings it back.
    const comesBack = (each.status === 'waiting' || each.status === 'resting') && !now.stopping && !simulation.isOver;
    if (comesBack) expect(simulation.isWaitingFor(slot)).toBe(true);
    const times = starts[slot] ?? [];
    for (const [index, startMs] of times.entries()) {
      if (index > 0) expect(startMs - (times[index - 1] ?? 0)).toBeGreaterThanOrEqual(1000);
    }
    // Five deaths in a minute, and a minute's rest.
    for (const [index, deathMs] of (deaths[slot] ?? []).entries()) {
      const fifth = deaths[slot]?.[index + 4];
      if (fifth === undefined || fifth - deathMs >= 60_000) continue;
      const next = times[index + 5];
      if (next !== undefined) expect(next - fifth).toBeGreaterThanOrEqual(60_000);
    }
  }
}
