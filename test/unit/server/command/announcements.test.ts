import { expect, it } from 'vitest';
import { logSkipped, warnOf } from '../../../../src/server/command/announcements.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';
import { load } from '../config/sources.ts';
import { FakeLog } from '../../../support/fake-log.ts';

const services = `
  echo: { listen: ["tcp://localhost:1201", "udp://localhost:1201"] }
  time: { listen: ["udp://localhost:1237"] }
  daytime: { listen: ["unix:///run/daytime.sock"], maxConnections: 501 }`;

const plenty = { limit: 1_000_000, open: 20 };

it.each([
  [0, 1501],
  [2, 751],
])('warns, with %d workers, if a process lacks descriptors for %d connections', async (workers, configured) => {
  const { config } = await load(`workers: ${workers}\nservices: ${services}`);
  const log = new FakeLog();
  const enough = configured + 64 + 8;
  warnOf(config, log, { limit: enough, open: 20 });
  warnOf(config, log, undefined);
  expect(log.records).toEqual([]);
  warnOf(config, log, { limit: enough - 1, open: 20 });
  expect(log.records).toMatchObject([
    { level: 'warn', fields: { configured, budget: configured - 1, openFilesLimit: enough - 1 } },
  ]);
});

it.each([
  ['qotd: { listen: ["tcp://localhost:1217"], dryRun: true }', 'dry run, rate and connection limits not enforced'],
  [
    'qotd: { listen: ["unix:///run/qotd.sock"], proxyProtocol: { from: [10.0.0.1] } }',
    'proxyProtocol has no effect without a TCP or UDP listener',
  ],
])('warns about a likely mistake, naming the service: %s', async (qotd, message) => {
  const { config } = await load(`services: ${services}\n  ${qotd}`);
  const log = new FakeLog();
  warnOf(config, log, plenty);
  expect(log.records).toEqual([{ level: 'warn', fields: { services: ['qotd'] }, message }]);
});

it('does not warn about proxyProtocol if a listener may be TCP', async () => {
  const proxied = 'listen: ["systemd:qotd"], proxyProtocol: { from: [10.0.0.1] }';
  const { config } = await load(`services: ${services}\n  qotd: { ${proxied} }`);
  const log = new FakeLog();
  warnOf(config, log, plenty);
  expect(log.records).toEqual([]);
});

function skipped(service: string, address: string, family: 'ipv4' | 'ipv6' = 'ipv6'): PlannedListener {
  const target = { transport: 'tcp', family, address, port: 7 } as const;
  return { id: 0, service, text: `tcp://${service}.example:7`, target, optional: true };
}

it('logs what is skipped: a line for each family, and one for each other address', () => {
  const log = new FakeLog();
  const others = [skipped('time', '2001:db8::1'), skipped('qotd', '192.0.2.1', 'ipv4')];
  logSkipped([skipped('echo', '::1'), skipped('echo', '::1'), skipped('time', '::'), ...others], log);
  const one = 'address not available, listener skipped';
  expect(log.records).toEqual([
    {
      level: 'info',
      message: one,
      fields: { service: 'time', listen: 'tcp://time.example:7', address: '2001:db8::1' },
    },
    { level: 'info', message: one, fields: { service: 'qotd', listen: 'tcp://qotd.example:7', address: '192.0.2.1' } },
    {
      level: 'info',
      message: 'address family not available, listeners skipped',
      fields: { family: 'ipv6', services: ['echo', 'time'] },
    },
  ]);
});
