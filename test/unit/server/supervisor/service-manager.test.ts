import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Condition,
  ServiceManager,
  type ServiceManagerOptions,
} from '../../../../src/server/supervisor/service-manager.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

let clock: FakeClock;
let sent: string[];
let condition: Condition;

beforeEach(() => {
  clock = new FakeClock();
  sent = [];
  condition = { status: 'ready: 0 clients', isHealthy: true };
});

function manager(
  environment: ServiceManagerOptions['environment'],
  notify: ServiceManagerOptions['notify'] = async (fields) => void sent.push(fields.join(' ')),
): ServiceManager {
  return new ServiceManager({ environment, pid: 42, clock, log: pino({ level: 'silent' }), notify });
}

/** Lets what is on its way arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
}

const socket = { NOTIFY_SOCKET: '/run/notify' };

describe('ServiceManager', () => {
  it('sends nothing without NOTIFY_SOCKET', async () => {
    const silent = manager({ WATCHDOG_USEC: '1000000' });
    silent.ready(() => condition);
    silent.reloading();
    silent.stopping();
    clock.advance(60_000);
    await settle();
    expect(sent).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  it('sends nothing more about a reload after STOPPING', async () => {
    const told = manager(socket);
    told.ready(() => condition);
    told.reloading();
    told.stopping();
    told.reloaded('draining');
    told.reloading();
    await settle();
    expect(sent.at(-1)).toBe('STOPPING=1 STATUS=waiting for clients to finish');
    expect(sent).toHaveLength(3);
  });

  it('reports start, status changes, reloads and stop in order', async () => {
    const told = manager(socket);
    told.ready(() => condition);
    clock.advance(10_000);
    condition = { ...condition, status: 'ready: 3 clients' };
    clock.advance(30_000);
    told.reloading();
    told.reloaded('ready: 4 clients');
    told.stopping();
    clock.advance(60_000);
    await settle();
    expect(sent).toEqual([
      'READY=1 STATUS=ready: 0 clients',
      'STATUS=ready: 3 clients',
      'RELOADING=1 STATUS=reloading',
      'READY=1 STATUS=ready: 4 clients',
      'STOPPING=1 STATUS=waiting for clients to finish',
    ]);
  });

  it('feeds the watchdog twice per interval while the daemon is healthy', async () => {
    const fed = manager({ ...socket, WATCHDOG_USEC: '4000000', WATCHDOG_PID: '42' });
    fed.ready(() => condition);
    clock.advance(4000);
    condition = { ...condition, isHealthy: false };
    clock.advance(4000);
    condition = { ...condition, isHealthy: true };
    clock.advance(2000);
    fed.stopping();
    clock.advance(60_000);
    await settle();
    expect(sent.filter((each) => each === 'WATCHDOG=1')).toHaveLength(3);
  });

  it.each([
    ['of another process', { WATCHDOG_USEC: '4000000', WATCHDOG_PID: '43' }],
    ['with a zero interval', { WATCHDOG_USEC: '0' }],
    ['with an invalid interval', { WATCHDOG_USEC: 'soon' }],
  ])('feeds no watchdog %s', async (_, environment) => {
    const told = manager({ ...socket, ...environment });
    told.ready(() => condition);
    clock.advance(60_000);
    await settle();
    expect(sent).toEqual(['READY=1 STATUS=ready: 0 clients']);
  });

  it('continues if notifying fails, and logs it once', async () => {
    const lines: string[] = [];
    const log = pino({ base: null }, { write: (line) => void lines.push(line) });
    const failing = new ServiceManager({
      environment: socket,
      pid: 42,
      clock,
      log,
      notify: async () => Promise.reject(new Error('no such command')),
    });
    failing.ready(() => condition);
    failing.reloading();
    failing.stopping();
    await settle();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('cannot notify the service manager');
  });
});
