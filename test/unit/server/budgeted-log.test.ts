import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BudgetedLog } from '../../../src/server/budgeted-log.ts';
import { ConnectionLog } from '../../../src/server/connection-log.ts';
import { newServiceCounters } from '../../../src/server/counters.ts';
import { TaskContext } from '../../../src/server/service-context.ts';
import type { Log } from '../../../src/service.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeLog } from '../../support/fake-log.ts';

const levels: readonly (keyof Log)[] = ['debug', 'info', 'warn', 'error'];
const client = {
  peer: { family: 'ipv4', address: '192.0.2.1', port: 40_000 },
  via: undefined,
  uid: undefined,
  local: '192.0.2.9:7',
  openedAtMs: 0,
  bytesIn: 0,
  bytesOut: 0,
  tcpInfo: undefined,
} as const;

/** One service in one process: everything that writes about it. */
class LoggedService {
  readonly clock = new FakeClock();
  readonly log = new FakeLog();
  readonly connections: ConnectionLog;
  readonly context: TaskContext;
  /** When each line was written, but for the summaries. */
  readonly writtenAtMs: number[] = [];

  constructor(processes = 1) {
    const budgeted = new BudgetedLog(this.log, this.clock, processes);
    this.connections = new ConnectionLog('info', budgeted, newServiceCounters());
    this.context = new TaskContext(this.clock, Math.random, budgeted);
  }

  /** The lines left out that the summaries have counted. */
  get notLogged(): number {
    return this.log.records.reduce((sum, { fields }) => sum + Number(fields['linesNotLogged'] ?? 0), 0);
  }

  get errorsLogged(): number {
    return this.log.records.filter(({ message }) => message.startsWith('service failed')).length;
  }

  cause(kind: Kind): void {
    const before = this.log.records.length;
    causes[kind](this);
    for (let line = before; line < this.log.records.length; line += 1) this.writtenAtMs.push(this.clock.nowMs);
  }
}

/** Every line that a stranger can cause. */
const causes = {
  closed: ({ connections, clock }: LoggedService) => connections.closed(client, clock.nowMs, 'completed'),
  loop: ({ connections }: LoggedService) => connections.loopFound('192.0.2.1:7'),
  listenerFailed: ({ connections }: LoggedService) => connections.listenerFailed(new Error('broken')),
  serviceFailed: ({ connections }: LoggedService) => connections.serviceFailed(new Error('thrown')),
  debug: ({ context }: LoggedService) => context.log.debug({}, 'of its own'),
  info: ({ context }: LoggedService) => context.log.info({}, 'of its own'),
  warn: ({ context }: LoggedService) => context.log.warn({}, 'of its own'),
  error: ({ context }: LoggedService) => context.log.error({}, 'of its own'),
};
type Kind = keyof typeof causes;
const kinds = Object.keys(causes) as readonly Kind[];

/** Those that leave a fifth of the budget to the others. */
const minor: readonly Kind[] = ['closed', 'debug', 'info'];

describe('the log lines of a service', () => {
  // Of the errors that a service throws only the first in a summary period is a line.
  const bounds = kinds.flatMap((kind) =>
    kind === 'serviceFailed' ? [] : [[kind, minor.includes(kind) ? 80 : 100] as const],
  );

  it.each(bounds)('of kind %s are limited to %d a second', (kind, limit) => {
    const service = new LoggedService();
    for (let turn = 0; turn < 4072; turn += 1) service.cause(kind);
    expect(service.writtenAtMs).toHaveLength(limit);
    service.clock.advance(999);
    service.cause(kind);
    expect(service.writtenAtMs).toHaveLength(limit);
    service.clock.advance(1);
    service.cause(kind);
    expect(service.writtenAtMs).toHaveLength(limit + 1);
    service.connections.summarize();
    expect(service.notLogged).toBe(4072 + 2 - limit - 1);
  });

  it('never exceed the share of the process in any second, and are counted beyond it', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.oneof(fc.nat(20), fc.nat(2000))), { maxLength: 300 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 256 }), (all, processes) => {
        const service = new LoggedService(processes);
        let errors = 0;
        let errorsPastTheBudget = 0;
        for (const [kind, waitMs] of all) {
          service.clock.advance(waitMs);
          service.cause(kind);
          if (kind !== 'serviceFailed') continue;
          errors += 1;
          if (service.errorsLogged === 0) errorsPastTheBudget += 1;
        }
        const limit = Math.max(2, Math.ceil(100 / processes));
        for (const [index, atMs] of service.writtenAtMs.entries())
          expect(atMs - (service.writtenAtMs[index - limit] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(1000);
        service.connections.summarize();
        const errorsNotLogged = Number(service.log.records.at(-1)?.fields['errorsNotLogged'] ?? 0);
        expect(errorsNotLogged).toBe(errors - service.errorsLogged);
        expect(service.writtenAtMs.length + service.notLogged + errorsNotLogged).toBe(all.length + errorsPastTheBudget);
      }),
    );
  });

  it('use no budget and are not counted if their level is off', () => {
    for (const [index, level] of levels.entries()) {
      const service = new LoggedService();
      service.log.level = level;
      const { log } = service.context;
      for (const off of levels.slice(0, index)) for (let turn = 0; turn < 200; turn += 1) log[off]({}, 'off');
      for (let turn = 0; turn < 80; turn += 1) log[level]({}, 'on');
      service.connections.summarize();
      expect(service.log.records).toHaveLength(80);
    }
  });

  it('can claim budget before their fields are built', () => {
    const log = new FakeLog();
    const budgeted = new BudgetedLog(log, new FakeClock(), 50);
    log.level = 'info';
    expect(budgeted.take('debug')).toBeUndefined();
    budgeted.take('info')?.info({}, 'one');
    budgeted.take('warn')?.warn({}, 'two');
    expect(budgeted.take('error')).toBeUndefined();
    expect(log.records.map(({ message }) => message)).toEqual(['one', 'two']);
    expect(budgeted.takeLeftOut()).toEqual({ lines: 1, areMinor: false });
  });

  it.each([1, 3, 50, 100, 256])(
    'leave room for warnings next to any number of minor lines, in %d processes',
    (processes) => {
      const service = new LoggedService(processes);
      for (let turn = 0; turn < 300; turn += 1) for (const kind of minor) service.cause(kind);
      const before = service.writtenAtMs.length;
      expect(before).toBeGreaterThan(0);
      for (let turn = 0; turn < 300; turn += 1) service.cause('warn');
      const kept = service.writtenAtMs.length - before;
      expect(kept).toBeGreaterThanOrEqual(Math.max(1, Math.ceil(service.writtenAtMs.length / 5)));
    },
  );

  it('do not suppress summaries when the budget is spent', () => {
    const service = new LoggedService();
    for (let turn = 0; turn < 300; turn += 1) service.cause('loop');
    service.connections.summarize();
    expect(service.log.records.at(-1)).toEqual({
      level: 'warn',
      fields: { linesNotLogged: 200 },
      message: 'log lines suppressed',
    });
  });
});
