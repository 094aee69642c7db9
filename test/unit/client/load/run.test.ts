import { describe, expect, it } from 'vitest';
import type { Lane, LaneEvents } from '../../../../src/client/load/lane.ts';
import { LoadRun, type LoadRunOptions } from '../../../../src/client/load/run.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** A lane in the test's hands. */
class FakeLane implements Lane {
  opened = 0;
  requests = 0;
  isOpen = false;
  readonly #events: LaneEvents;
  readonly #play: (lane: FakeLane) => void;
  readonly #whenOpened: (lane: FakeLane) => void;

  constructor(events: LaneEvents, play: (lane: FakeLane) => void, whenOpened: (lane: FakeLane) => void) {
    this.#events = events;
    this.#play = play;
    this.#whenOpened = whenOpened;
  }

  open(): void {
    this.opened += 1;
    this.isOpen = true;
    this.#whenOpened(this);
  }

  request(): void {
    if (!this.isOpen) throw new Error('a request on a lane that is closed');
    this.requests += 1;
    this.#play(this);
  }

  close(): void {
    this.isOpen = false;
  }

  ready(): void {
    if (this.isOpen) this.#events.ready();
  }

  answer(): void {
    if (this.isOpen) this.#events.answered();
  }

  move(sentBytes: number, receivedBytes: number): void {
    if (this.isOpen) this.#events.moved(sentBytes, receivedBytes);
  }

  fail(kind: string): void {
    if (!this.isOpen) return;
    this.close();
    this.#events.failed(kind);
  }
}

interface Rig {
  readonly clock: FakeClock;
  readonly run: LoadRun;
  readonly lanes: readonly FakeLane[];
  ended: number;
}

/** A load over fake lanes; `play` is what happens to a request, `whenOpened` to a lane that opens. */
function rig(
  options: Partial<LoadRunOptions>,
  play: (lane: FakeLane, clock: FakeClock) => void,
  whenOpened: (lane: FakeLane, clock: FakeClock) => void = (lane) => lane.ready(),
): Rig {
  const clock = new FakeClock();
  const lanes: FakeLane[] = [];
  const run = new LoadRun(
    {
      connections: 1,
      durationMs: 1000,
      isFlow: false,
      timeoutMs: 5000,
      silence: 'timeout',
      clock,
      wake: (ms, task) => clock.after(ms, task),
      ...options,
    },
    (_index, events) => {
      const lane = new FakeLane(
        events,
        (each) => play(each, clock),
        (each) => whenOpened(each, clock),
      );
      lanes.push(lane);
      return lane;
    },
  );
  const made: Rig = { clock, run, lanes, ended: 0 };
  run.start(() => {
    made.ended += 1;
  });
  return made;
}

/** Answers each request after so long. */
const after =
  (ms: number) =>
  (lane: FakeLane, clock: FakeClock): void => {
    clock.after(ms, () => lane.answer());
  };

/** Answers after 1 ms, but nobody from second 1 to second 2. */
function stallingServer(lane: FakeLane, clock: FakeClock): void {
  const doneMs = clock.nowMs + 1;
  const isStalled = doneMs >= 1000 && doneMs < 2000;
  clock.after(isStalled ? 2000 - clock.nowMs : 1, () => lane.answer());
}

describe('a closed loop', () => {
  it('sends the next request on each connection once the last is answered', () => {
    const { clock, run, lanes, ...rest } = rig({ connections: 3, durationMs: 100 }, after(10));
    clock.advance(99);
    expect(lanes.map(({ requests }) => requests)).toEqual([10, 10, 10]);
    expect(run.counts()).toMatchObject({ answered: 27, failed: 0, elapsedMs: 99 });
    expect(run.unfinished).toBe(3);
    expect(run.service.summary()).toMatchObject({ minMs: 10, maxMs: 10 });
    expect(rest.ended).toBe(0);
  });

  it('hides a stall because it sends nothing during the stall', () => {
    const { clock, run } = rig({ connections: 2, durationMs: 4000 }, stallingServer);
    clock.advance(4000);
    expect(run.response.summary()?.maxMs).toBeGreaterThan(990);
    expect(run.response.percentileMs(99)).toBeLessThan(1.1);
  });
});

describe('an open loop', () => {
  it('charges a stall to every request that was due during it', () => {
    const { clock, run } = rig({ connections: 2, durationMs: 4000, perSecond: 500 }, stallingServer);
    clock.advance(4000);
    const { answered } = run.counts();
    expect(answered).toBe(2000);
    // A quarter was due while it stalled: their waits run evenly from a second down to nothing.
    const slow = run.response
      .distribution()
      .filter(({ aboveMs }) => aboveMs >= 2)
      .reduce((sum, { count }) => sum + count, 0);
    expect(slow / answered).toBeGreaterThan(0.24);
    expect(run.response.percentileMs(90)).toBeGreaterThan(500);
    expect(run.response.summary()?.maxMs).toBeGreaterThan(990);
    // Counted from when they were sent, two requests were slow.
    expect(run.service.percentileMs(99)).toBeLessThan(1.1);
    expect(run.backlog).toEqual({ waiting: 0, behindMs: 0 });
  });

  it('keeps an odd rate without drift', () => {
    const sentAtMs: number[] = [];
    const { clock } = rig({ connections: 5, durationMs: 60_000, perSecond: 333 }, (lane, at) => {
      sentAtMs.push(at.nowMs);
      at.after(1, () => lane.answer());
    });
    clock.advance(60_001);
    expect(sentAtMs).toHaveLength(333 * 60);
    for (const [index, ms] of sentAtMs.entries()) expect(ms).toBeCloseTo((index * 1000) / 333, 6);
  });

  it('uses all connections in turn', () => {
    const { clock, lanes } = rig({ connections: 4, durationMs: 1000, perSecond: 100 }, after(1));
    clock.advance(1000);
    expect(lanes.map(({ requests }) => requests)).toEqual([25, 25, 25, 25]);
  });

  it('reports its backlog if the server is too slow', () => {
    const rigged = rig({ connections: 1, durationMs: 1000, perSecond: 100 }, after(20));
    rigged.clock.advance(1000);
    expect(rigged.ended).toBe(1);
    // 50 were sent, the last of them due at 490 ms.
    expect(rigged.run.backlog).toEqual({ waiting: 50, behindMs: 500 });
    expect(rigged.run.counts()).toMatchObject({ answered: 49, elapsedMs: 1000 });
  });
});

describe('the end', () => {
  it('comes after the duration, closes all lanes, cancels all timers and is reported once', () => {
    const rigged = rig({ connections: 3, durationMs: 100 }, after(1000));
    rigged.clock.advance(100);
    expect(rigged.ended).toBe(1);
    expect(rigged.lanes.some(({ isOpen }) => isOpen)).toBe(false);
    rigged.clock.advance(5000);
    expect(rigged.ended).toBe(1);
    expect(rigged.clock.waiting).toBe(0);
    expect(rigged.run.counts()).toMatchObject({ answered: 0, elapsedMs: 100 });
    expect(rigged.run.unfinished).toBe(3);
  });

  it.each([{ perSecond: undefined }, { perSecond: 1000 }])(
    'comes after the requested number of requests, answered or not (%o)',
    ({ perSecond }) => {
      let turn = 0;
      const rigged = rig({ connections: 3, durationMs: 60_000, requests: 10, perSecond }, (lane, clock) => {
        const isBad = turn++ === 4;
        clock.after(1, () => (isBad ? lane.fail('connection reset') : lane.answer()));
      });
      rigged.clock.advance(1000);
      expect(rigged.ended).toBe(1);
      expect(rigged.lanes.reduce((sum, { requests }) => sum + requests, 0)).toBe(10);
      expect(rigged.run.counts()).toMatchObject({ answered: 9, failed: 1 });
    },
  );

  it('comes at once on stop and is not reported', () => {
    const rigged = rig({ connections: 2 }, after(10));
    rigged.clock.advance(55);
    rigged.run.stop();
    expect(rigged.lanes.some(({ isOpen }) => isOpen)).toBe(false);
    expect(rigged.clock.waiting).toBe(2);
    rigged.clock.advance(5000);
    expect(rigged.ended).toBe(0);
    expect(rigged.run.counts()).toMatchObject({ answered: 10, elapsedMs: 55 });
  });
});

describe('lanes that fail', () => {
  it('are reopened after a delay and counted by kind', () => {
    const { clock, run, lanes } = rig({ durationMs: 1000 }, (lane, at) => {
      at.after(1, () => (lane.requests === 1 ? lane.fail('connection reset') : lane.answer()));
    });
    clock.advance(100);
    expect(lanes[0]?.opened).toBe(1);
    clock.advance(1);
    expect(lanes[0]?.opened).toBe(2);
    clock.advance(1);
    expect(run.counts()).toMatchObject({ answered: 1, failed: 1 });
    expect([...run.errors]).toEqual([['connection reset', 1]]);
  });

  it('get no requests until reopened if they fail while idle, and the others continue', () => {
    const { clock, run, lanes } = rig({ connections: 3, durationMs: 1000, perSecond: 20 }, after(1));
    clock.advance(10);
    lanes[1]?.fail('closed without an answer');
    clock.advance(95);
    // Due at 0, 50 and 100 ms: the second lane is out until 110.
    expect(lanes.map(({ requests }) => requests)).toEqual([2, 0, 1]);
    clock.advance(895);
    expect(run.counts()).toMatchObject({ answered: 20, failed: 1 });
    expect(lanes[1]?.requests).toBeGreaterThan(0);
  });

  it('are closed and counted after silence, without a timer per lane', () => {
    const { clock, run, lanes } = rig(
      { connections: 5, durationMs: 10_000, timeoutMs: 1000, silence: 'lost' },
      () => {},
    );
    // The sweep, the end.
    expect(clock.waiting).toBe(2);
    clock.advance(999);
    expect(run.counts().failed).toBe(0);
    clock.advance(1);
    expect([...run.errors]).toEqual([['lost', 5]]);
    expect(lanes.map(({ opened }) => opened)).toEqual([1, 1, 1, 1, 1]);
    clock.advance(100);
    expect(lanes.map(({ opened }) => opened)).toEqual([2, 2, 2, 2, 2]);
  });

  it('are counted as errors if descriptors run out', () => {
    const { clock, run } = rig({ connections: 2, durationMs: 1000 }, after(1), (lane, at) => {
      if (lane.opened === 1) at.after(0, () => lane.fail('too many open files'));
      else lane.ready();
    });
    clock.advance(1000);
    expect([...run.errors]).toEqual([['too many open files', 2]]);
    expect(run.counts().answered).toBeGreaterThan(1000);
  });
});

describe('the start', () => {
  it('waits for the first result of every lane and counts time from there', () => {
    let turn = 0;
    const { clock, run, lanes } = rig({ connections: 3, durationMs: 100 }, after(1), (lane, at) => {
      turn += 1;
      if (turn === 2) at.after(5, () => lane.fail('connection refused'));
      else if (turn === 3) at.after(250, () => lane.ready());
      else lane.ready();
    });
    // Longer than a rest: what failed is not tried again before the start.
    clock.advance(249);
    expect(lanes.map(({ requests }) => requests)).toEqual([0, 0, 0]);
    expect(lanes.map(({ opened }) => opened)).toEqual([1, 1, 1]);
    expect(run.counts()).toMatchObject({ elapsedMs: 0, failed: 1 });
    clock.advance(11);
    expect(run.counts()).toMatchObject({ elapsedMs: 10, answered: 20 });
    clock.advance(200);
    expect(run.counts()).toMatchObject({ elapsedMs: 100 });
  });
});

describe('a flow', () => {
  it('is requested once and times out when nothing moves', () => {
    const { clock, run, lanes } = rig({ isFlow: true, durationMs: 5000, timeoutMs: 500 }, (lane, at) => {
      at.after(400, () => lane.move(10, 0));
      at.after(800, () => lane.move(0, 5));
    });
    clock.advance(1299);
    expect(run.counts()).toMatchObject({ bytesSent: 10, bytesReceived: 5, failed: 0, answered: 0 });
    clock.advance(51);
    expect([...run.errors]).toEqual([['timeout', 1]]);
    clock.advance(100);
    expect(lanes[0]).toMatchObject({ opened: 2, requests: 2 });
  });
});
