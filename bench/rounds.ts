import { LoadGenerator, type Sample } from './load-generator.ts';
import type { WorkResult } from './results.ts';
import type { Server } from './server.ts';
import type { Setting } from './setting.ts';
import { takesPart, type Work } from './work.ts';

/**
 * Measures a work: in each round every server, one after another. Each round has another order, so that a machine that
 * speeds up or slows down favors none.
 */
export async function measureWork(setting: Setting, work: Work, servers: readonly Server[]): Promise<WorkResult> {
  const { plan, load } = setting;
  const generators = new Map<string, LoadGenerator>();
  const samples: Record<string, (Sample | undefined)[]> = {};
  try {
    for (const server of servers) {
      const { id, label } = server.peer;
      if (!takesPart(server.peer, work)) continue;
      try {
        generators.set(id, await LoadGenerator.start(load, server, work, plan.warmSeconds));
        samples[id] = [];
      } catch {
        setting.remark(`${work.title}: ${label} failed to start`);
      }
    }
    for (let round = 0; round < plan.rounds && !setting.isOver(); round += 1) {
      for (const id of orderOf(Object.keys(samples), round)) {
        samples[id]?.push(await measureOnce(setting, work, id, generators));
      }
    }
  } finally {
    for (const generator of generators.values()) await generator.stop();
  }
  for (const [id, own] of Object.entries(samples)) {
    const errors = own.reduce((sum, sample) => sum + (sample?.errors ?? 0), 0);
    const lastError = own.findLast((sample) => sample !== undefined && sample.errors > 0)?.lastError;
    if (errors > 0) setting.remark(`${work.title}: ${id} had ${errors} errors, the last: ${lastError}`);
  }
  const { name, title, unit, clients } = work;
  return { name, title, unit, clients, samples };
}

/** A sample, or undefined from when the load has failed. */
async function measureOnce(
  { plan, remark }: Setting,
  work: Work,
  id: string,
  generators: Map<string, LoadGenerator>,
): Promise<Sample | undefined> {
  const generator = generators.get(id);
  try {
    return await generator?.measure(plan.roundSeconds);
  } catch {
    remark(`${work.title}: ${id} failed`);
    generators.delete(id);
    await generator?.stop();
    return undefined;
  }
}

/** Rotated by one each round, and every second round backwards. */
export function orderOf<T>(items: readonly T[], round: number): readonly T[] {
  const start = items.length === 0 ? 0 : round % items.length;
  const rotated = [...items.slice(start), ...items.slice(0, start)];
  return round % 2 === 0 ? rotated : rotated.toReversed();
}
