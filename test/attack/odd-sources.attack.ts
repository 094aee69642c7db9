import { describe, expect, test } from 'vitest';
import { startInetd } from '../system/inetds.ts';
import { needs } from '../system/machine.ts';
import type { DaemonProgram } from '../system/program.ts';
import { comparedInetds } from './compared-inetds.ts';
import { compare, holds, holdsExceptWithNode, remark } from './figures.ts';
import { Forger, serverAddress } from './forger.ts';
import {
  answersToAddress,
  answersToBroadcast,
  answersToPortZero,
  stillAnswering,
  type OddSource,
  oddAddresses,
  oddCount,
  oddPorts,
  stateOf,
} from './odd-sources.ts';
import { isNode } from './sockets.ts';
import { serve } from './storms.ts';

needs('ip', 'xinetd', 'inetutils-inetd');

const none = { atMost: 0, atLeast: 0 };
const sent = Object.keys(oddPorts).length * oddCount;
const portZero = `${sent} datagrams from port 0 to four services`;
const allAlive = 'services that answer an honest client afterwards, of four';

function whatOf({ name, isFiltered }: OddSource): string {
  return `${sent} datagrams from ${name}${isFiltered ? ', which Linux drops' : ''}: replies of four services`;
}

async function startOurs(): Promise<{ readonly forger: Forger; readonly daemon: DaemonProgram }> {
  const forger = new Forger();
  await forger.linked();
  const services = Object.entries(oddPorts).map(([service, port]) => ({ service, port }));
  return { forger, daemon: await serve(forger.server, serverAddress, services) };
}

describe('datagrams from port 0', () => {
  test('are not answered by smallservd', async () => {
    const { forger, daemon } = await startOurs();
    holds(3, `${portZero}: replies`, await answersToPortZero(forger), none);
    const { dropped } = await stateOf(daemon, 'source-port');
    holds(3, `${portZero}: counted as source-port`, dropped, { atLeast: sent, atMost: sent });
    holds(3, `${portZero}: ${allAlive}`, await stillAnswering(forger), { atLeast: 4, atMost: 4 });
  });

  test.each(comparedInetds)('are sent to %s, for comparison', async (inetd) => {
    const forger = new Forger();
    const program = await startInetd(inetd, forger.server);
    compare(inetd, 3, `${portZero}: replies`, await answersToPortZero(forger));
    const alive = await stillAnswering(forger);
    if (program.running) compare(inetd, 3, `${portZero}: ${allAlive}`, alive);
    else remark(inetd, 3, `${portZero}: ${allAlive}`, `${alive} (it ended)`);
  });
});

describe('datagrams from invalid source addresses', () => {
  test('are not answered by smallservd', async () => {
    const { forger, daemon } = await startOurs();
    for (const source of oddAddresses) {
      const before = await stateOf(daemon, 'source-address');
      holds(4, whatOf(source), await answersToAddress(forger, source), none);
      const { received, dropped } = await stateOf(daemon, 'source-address');
      expect(received - before.received).toBe(source.isFiltered ? 0 : sent);
      expect(dropped - before.dropped).toBe(source.isFiltered ? 0 : sent);
    }
    holds(4, `the same: ${allAlive}`, await stillAnswering(forger), { atLeast: 4, atMost: 4 });
  });

  test.each(comparedInetds)('are sent to %s, for comparison', async (inetd) => {
    const forger = new Forger();
    await startInetd(inetd, forger.server);
    for (const source of oddAddresses) compare(inetd, 4, whatOf(source), await answersToAddress(forger, source));
    compare(inetd, 4, `the same: ${allAlive}`, await stillAnswering(forger));
  });
});

describe('datagrams to a broadcast address', () => {
  test('are not answered by smallservd', async () => {
    const forger = new Forger();
    await forger.linked();
    const services = [{ service: 'echo', port: oddPorts.echo }];
    const daemon = await serve(forger.server, '*', services);
    const what = `${oddCount} datagrams to the broadcast address of an interface: replies of echo`;
    const answers = await answersToBroadcast(forger);
    holdsExceptWithNode(4, what, answers, none, 'Node does not tell where a datagram was sent to');
    const { received, dropped } = await stateOf(daemon, 'destination');
    expect([received, dropped]).toEqual([oddCount, isNode ? 0 : oddCount]);
  });
});
