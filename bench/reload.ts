import { setTimeout as sleep } from 'node:timers/promises';
import { LoadGenerator } from './load-generator.ts';
import type { ReloadResult } from './results.ts';
import type { Server } from './server.ts';
import type { Setting } from './setting.ts';
import { workNamed } from './work.ts';

/** How long there is load before the signal. */
const loadedMs = 100;
/** How long there is load for each reload: longer than it takes. */
const reloadSeconds = 3;

/** Reloads a smallservd while daytime clients come and go as fast as they can. */
export async function measureReload(setting: Setting, server: Server): Promise<ReloadResult> {
  const work = workNamed('daytime');
  const ms: number[] = [];
  const longestWaitMs: number[] = [];
  let connections = 0;
  let errors = 0;
  const generator = await LoadGenerator.start(setting.load, server, work, 0);
  try {
    for (let round = 0; round < setting.plan.reloadRounds && !setting.isOver(); round += 1) {
      const before = reloadsIn(server.log).length;
      const measured = generator.measure(reloadSeconds);
      await sleep(loadedMs);
      server.signal('SIGHUP');
      const sample = await measured;
      connections += sample.operations;
      errors += sample.errors;
      const took = reloadsIn(server.log)[before];
      if (took === undefined) {
        setting.remark(`${server.peer.label}: a reload took longer than ${reloadSeconds} s`);
        break;
      }
      ms.push(took);
      longestWaitMs.push(sample.maxUs / 1000);
    }
  } finally {
    await generator.stop();
  }
  return { ms, longestWaitMs, connections, errors };
}

/** The milliseconds that each reload took, as the log tells. */
export function reloadsIn(log: string): readonly number[] {
  const lines = log.split('\n').filter((line) => line.includes('"config reloaded"'));
  return lines.map((line) => (JSON.parse(line.replace(/^<\d>/, '')) as { readonly ms: number }).ms);
}
