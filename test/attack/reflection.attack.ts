import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startInetd } from '../system/inetds.ts';
import { needs, temporaryDirectory } from '../system/machine.ts';
import { DaemonProgram } from '../system/program.ts';
import { comparedInetds } from './compared-inetds.ts';
import { compare, holds } from './figures.ts';
import { Forger } from './forger.ts';
import { reflect, reflectorConfig, type ServiceName, servicePorts } from './reflection.ts';
import { isNode } from './sockets.ts';

needs('ip', 'xinetd', 'inetutils-inetd');

const servicesOfInetds = ['echo', 'daytime', 'time', 'chargen'] as const;
const services = isNode ? servicesOfInetds : (Object.keys(servicePorts) as readonly ServiceName[]);
const packetsPerSecond = 50_000;
const sourceCounts = [1, 1000, 100_000] as const;

/**
 * With one source its burst is spent at once; with many, that of the service (40,000, and 20,000 a second more) after
 * 1.3 s.
 */
const secondsFor = { 1: 0.4, 1000: 2, 100_000: 2 } as const;

function maxAmplification(service: ServiceName): number {
  return service === 'chargen' ? 1 : 2;
}

function sourcesText(sources: number): string {
  return sources === 1 ? '1 source' : `${sources.toLocaleString('en')} sources`;
}

function whatOf(service: ServiceName, sources: number): string {
  return `${service}, ${sourcesText(sources)}, empty requests, 50,000/s: bytes out / bytes in`;
}

function largestOf(service: ServiceName): string {
  return `${service}: largest answer / its request (maxAmplification ${maxAmplification(service)})`;
}

describe('reflection to spoofed sources', () => {
  test('is bounded for smallservd', async () => {
    const forger = new Forger();
    const config = join(temporaryDirectory(), 'smallservd.yaml');
    writeFileSync(config, JSON.stringify(reflectorConfig));
    const daemon = new DaemonProgram(['--config', config], (argv) => forger.server.inside(argv));
    await daemon.ready();
    const largestRatios = new Map<ServiceName, number>();
    // By number of sources first: the buckets of a service are full again when its turn comes.
    for (const sources of isNode ? ([1, 100_000] as const) : sourceCounts) {
      for (const service of services) {
        const flood = { service, sources, length: 0, packetsPerSecond, seconds: secondsFor[sources] };
        const { ratio, sustainedRatio, largestRatio } = await reflect(forger, flood);
        expect(largestRatio, `${service} answered nobody`).toBeGreaterThan(0);
        holds(1, whatOf(service, sources), ratio, { atMost: maxAmplification(service), digits: 3 });
        const what = `${service}, ${sourcesText(sources)}: the same, once the burst is spent`;
        holds(1, what, sustainedRatio, { atMost: 1, digits: 3 });
        largestRatios.set(service, Math.max(largestRatio, largestRatios.get(service) ?? 0));
      }
    }
    for (const service of services) {
      const flood = { service, sources: 1000, length: 32, packetsPerSecond, seconds: 0.4 };
      const { ratio, largestRatio } = await reflect(forger, flood);
      const bound = { atMost: maxAmplification(service), digits: 3 };
      holds(1, `${service}, 1,000 sources, requests of 32 bytes: bytes out / bytes in`, ratio, bound);
      holds(1, largestOf(service), Math.max(largestRatio, largestRatios.get(service) ?? 0), bound);
    }
    // Hundreds of bytes answer each, which maxAmplification does not allow for short ones.
    // With Node's sockets, the second flood would find the receive buffer full of the first.
    const rate = isNode ? 10_000 : packetsPerSecond;
    for (const [length, most] of [
      [32, 0],
      [600, 2],
    ] as const) {
      const flood = { service: 'envelope', sources: 1000, length, packetsPerSecond: rate, seconds: 0.4 } as const;
      const { ratio, largestRatio } = await reflect(forger, flood);
      const bound = { ...(most === 0 && { atLeast: 0 }), atMost: most, digits: 3 };
      holds(1, `envelope, 1,000 sources, requests of ${length} bytes: bytes out / bytes in`, ratio, bound);
      if (most > 0) expect(largestRatio, 'envelope answered nobody').toBeGreaterThan(0);
    }
    expect(daemon.running).toBe(true);
  });

  test.each(comparedInetds)('is measured for %s, for comparison', async (inetd) => {
    const forger = new Forger();
    await startInetd(inetd, forger.server);
    for (const sources of sourceCounts) {
      for (const service of servicesOfInetds) {
        const flood = { service, sources, length: 0, packetsPerSecond, seconds: 0.3 };
        const { ratio, largestRatio } = await reflect(forger, flood);
        compare(inetd, 1, whatOf(service, sources), ratio, { digits: 3 });
        if (sources > 1) compare(inetd, 1, largestOf(service), largestRatio, { digits: 3 });
      }
    }
  });
});
