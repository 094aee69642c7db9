import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RunningDaemon } from '../../../../src/server/running-daemon.ts';
import { Signals } from '../../../../src/server/supervisor/signals.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

let signals: EventEmitter;
let clock: FakeClock;
let done: string[];
let deliver: () => void;
let caught: Signals;

beforeEach(() => {
  signals = new EventEmitter();
  clock = new FakeClock();
  caught = new Signals(clock, signals);
  done = [];
  const daemon: Pick<RunningDaemon, 'stop' | 'destroy' | 'logState'> = {
    async stop() {
      done.push('stop');
      return 0;
    },
    destroy: () => done.push('destroy'),
    logState: () => done.push('logState'),
  };
  deliver = () =>
    caught.deliverTo(daemon, {
      hangUp: () => done.push('hang up'),
      reopenLog: () => done.push('reopen the log'),
      stopping() {},
    });
});

/** A signal, and how long after the one before it. */
type Step = readonly [afterMs: number, signal: NodeJS.Signals];

describe('Signals', () => {
  it.each<[string, Step[], string[]]>([
    ['TERM stops', [[0, 'SIGTERM']], ['stop']],
    ['INT stops', [[0, 'SIGINT']], ['stop']],
    ['QUIT ends at once', [[0, 'SIGQUIT']], ['destroy']],
    ['HUP calls hangUp', [[0, 'SIGHUP']], ['hang up']],
    ['USR1 reopens the log', [[0, 'SIGUSR1']], ['reopen the log']],
    ['USR2 writes the state', [[0, 'SIGUSR2']], ['logState']],
    [
      'INT twice in the same millisecond, as from Ctrl-C under npm, counts once',
      [
        [0, 'SIGINT'],
        [0, 'SIGINT'],
      ],
      ['stop'],
    ],
    [
      'a second signal within a second is ignored',
      [
        [0, 'SIGTERM'],
        [1000, 'SIGTERM'],
      ],
      ['stop'],
    ],
    [
      'a second signal after more than a second ends at once',
      [
        [0, 'SIGTERM'],
        [1001, 'SIGTERM'],
      ],
      ['stop', 'destroy'],
    ],
    [
      'a different second signal after more than a second ends at once, too',
      [
        [0, 'SIGTERM'],
        [1001, 'SIGINT'],
      ],
      ['stop', 'destroy'],
    ],
    [
      'the second is measured from the first signal',
      [
        [0, 'SIGINT'],
        [600, 'SIGINT'],
        [600, 'SIGINT'],
      ],
      ['stop', 'destroy'],
    ],
    [
      'QUIT after TERM ends at once',
      [
        [0, 'SIGTERM'],
        [0, 'SIGQUIT'],
      ],
      ['stop', 'destroy'],
    ],
    [
      'HUP and USR2 are handled while stopping',
      [
        [0, 'SIGTERM'],
        [1, 'SIGUSR2'],
        [1, 'SIGHUP'],
      ],
      ['stop', 'logState', 'hang up'],
    ],
  ])('%s', (_rule, steps, expected) => {
    deliver();
    for (const [afterMs, signal] of steps) {
      clock.advance(afterMs);
      signals.emit(signal);
    }
    expect(done).toEqual(expected);
  });

  it.each<[string, Step[], string[]]>([
    ['TERM', [[0, 'SIGTERM']], ['stop']],
    ['QUIT', [[0, 'SIGQUIT']], ['destroy']],
    [
      'TERM, and again after more than a second',
      [
        [0, 'SIGTERM'],
        [1001, 'SIGTERM'],
      ],
      ['destroy'],
    ],
    [
      'HUP twice, with USR2 ignored',
      [
        [0, 'SIGHUP'],
        [0, 'SIGUSR2'],
        [0, 'SIGHUP'],
      ],
      ['hang up'],
    ],
    [
      'HUP, and then TERM',
      [
        [0, 'SIGHUP'],
        [0, 'SIGTERM'],
      ],
      ['stop'],
    ],
  ])('signals before the daemon exists are delivered to it later: %s', (_signal, steps, expected) => {
    for (const [afterMs, signal] of steps) {
      clock.advance(afterMs);
      signals.emit(signal);
    }
    expect(done).toEqual([]);
    deliver();
    expect(done).toEqual(expected);
  });

  it.each<[NodeJS.Signals, boolean]>([
    ['SIGTERM', true],
    ['SIGINT', true],
    ['SIGQUIT', true],
    ['SIGHUP', false],
    ['SIGUSR1', false],
    ['SIGUSR2', false],
  ])('%s before the daemon exists aborts startup: %s', async (signal, ends) => {
    signals.emit(signal);
    expect(await isStoppedEarly()).toBe(ends);
  });

  it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT', 'SIGQUIT'])(
    '%s does not abort startup once the daemon exists',
    async (signal) => {
      deliver();
      signals.emit(signal);
      expect(await isStoppedEarly()).toBe(false);
    },
  );

  it('leaves all other signals to Node', () => {
    const answered = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'];
    expect(new Set(signals.eventNames())).toEqual(new Set(answered));
  });
});

/** Nothing but promises is between a signal and this. */
async function isStoppedEarly(): Promise<boolean> {
  return await Promise.race([
    caught.stoppedEarly.then(() => true),
    Promise.resolve().then(() => Promise.resolve(false)),
  ]);
}
