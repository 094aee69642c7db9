import { setTimeout as sleep } from 'node:timers/promises';
import { LoadGenerator } from './load-generator.ts';
import type { Peer } from './peers.ts';
import type { MemoryResult } from './results.ts';
import { Server } from './server.ts';
import type { Setting } from './setting.ts';
import { workNamed } from './work.ts';

/** How long a server may tidy up before its memory is read. */
const settleMs = 1000;

/** Starts a fresh server, lets it work a little, and connects clients that are idle after one message each. */
export async function measureMemory(setting: Setting, peer: Peer): Promise<MemoryResult> {
  const { plan, load, serverPlace, directory } = setting;
  const echo = workNamed('tcp-echo-64');
  const emptyBytes: number[] = [];
  const bytesPerClient: number[] = [];
  for (let round = 0; round < plan.memoryRounds && !setting.isOver(); round += 1) {
    const server = await Server.start(peer, serverPlace, directory);
    try {
      const worker = await LoadGenerator.start(load, server, echo, plan.warmSeconds);
      await worker.stop();
      await sleep(settleMs);
      const empty = server.memoryBytes;
      const idle = await LoadGenerator.start(load, server, { ...echo, clients: plan.idleClients }, 0);
      await sleep(settleMs);
      emptyBytes.push(empty);
      bytesPerClient.push((server.memoryBytes - empty) / plan.idleClients);
      await idle.stop();
    } finally {
      await server.stop();
    }
  }
  return { clients: plan.idleClients, emptyBytes, bytesPerClient };
}
