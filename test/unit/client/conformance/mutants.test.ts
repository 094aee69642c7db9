import { describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../../src/clock/clock.ts';
import { allChecks } from '../../../../src/client/conformance/index.ts';
import { type CheckResult, runChecks } from '../../../../src/client/conformance/run.ts';
import { fakeTcpServer, fakeUdpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { type Behaviour, type Mutant, mutants } from './mutants.ts';

const noon: Clock = { ...systemClock, now: () => new Date('2026-11-22T11:07:12Z') };

async function start({ tcp, udp }: Behaviour): Promise<number> {
  if (tcp !== undefined) return (await fakeTcpServer(tcp)).port;
  let count = 0;
  const server = await fakeUdpServer((request, reply) => {
    count += 1;
    udp?.(request, reply, count);
  });
  return server.port;
}

async function check(mutant: Mutant): Promise<CheckResult | undefined> {
  const port = await start(mutant);
  const results = await runChecks(
    '127.0.0.1',
    allChecks.filter(({ id }) => id === mutant.id),
    {
      // As long as a loaded machine may take; no longer than it must where nothing will come.
      timeoutMs: mutant.isSilent === true ? 5000 : 60_000,
      quietMs: 150,
      clock: noon,
      portOf: () => port,
      dangerousPorts: { low: [await freePort()], reflectors: [await freePort()] },
    },
  );
  return results[0];
}

/** They wait more than they work. */
const atOnce = 8;

describe('every mutant fails its check', () => {
  test.each(['tcp', 'udp'])(
    'over %s',
    async (transport) => {
      const waiting = mutants.filter(({ id }) => id.split('.')[1] === transport).values();
      const escaped: string[] = [];
      const work = async (): Promise<void> => {
        for (const mutant of waiting) {
          const result = await check(mutant);
          if (result?.outcome === 'failed' && mutant.says.test(result.detail)) continue;
          escaped.push(`${mutant.id}: it ${mutant.fault}: ${result?.outcome}: ${result?.detail}`);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, work));
      expect(escaped).toEqual([]);
    },
    120_000,
  );
});

test('every check has a mutant', () => {
  expect([...new Set(mutants.map(({ id }) => id))].toSorted()).toEqual(allChecks.map(({ id }) => id).toSorted());
});

test('check ids are unique and have the form service.transport.word', () => {
  const names = allChecks.map(({ id, service, transport }) => id === `${service}.${transport}.${id.split('.')[2]}`);
  expect(names.every(Boolean)).toBe(true);
  expect(new Set(allChecks.map(({ id }) => id)).size).toBe(allChecks.length);
});
