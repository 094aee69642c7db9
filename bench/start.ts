import type { Peer } from './peers.ts';
import type { StartResult } from './results.ts';
import { Server } from './server.ts';
import type { Setting } from './setting.ts';

/** Starts a server again and again. */
export async function measureStart(setting: Setting, peer: Peer): Promise<StartResult> {
  const ms: number[] = [];
  const cpuMs: number[] = [];
  for (let round = 0; round < setting.plan.startRounds && !setting.isOver(); round += 1) {
    const server = await Server.start(peer, setting.serverPlace, setting.directory);
    ms.push(server.startMs);
    cpuMs.push(server.cpuSeconds * 1000);
    await server.stop();
  }
  return { ms, cpuMs };
}
