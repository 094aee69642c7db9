import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock/clock.ts';
import { loadConfig } from '../../src/server/config/load.ts';
import type { ServiceCounters } from '../../src/server/counters.ts';
import { prepareServices } from '../../src/server/service-context.ts';
import { InProcessDaemon } from '../../src/server/in-process-daemon.ts';
import { createLog } from '../../src/server/log.ts';
import { socketAccessFor } from '../../src/server/supervisor/socket-access.ts';
import { planListeners } from '../../src/server/transport/plan.ts';
import { LogLines } from '../support/daemon.ts';
import { temporaryDirectory } from '../support/daemon-process.ts';
import { transportsOf } from '../support/transports.ts';

/**
 * A service over TCP, a UNIX socket and UDP, as far as it answers over them, in this process, with what `startDaemon`
 * does not show: its counters.
 */
export interface CountedDaemon {
  readonly tcp: { readonly host: string; readonly port: number };
  readonly unix: { readonly path: string };
  readonly udp: { readonly host: string; readonly port: number };
  readonly log: LogLines;
  readonly counters: () => ServiceCounters;
}

/** Serves a kind of service; it ends with the test. */
export async function serveCounted(service: string, keys: object = {}): Promise<CountedDaemon> {
  const path = join(temporaryDirectory(), 'socket');
  const addresses = { tcp: ['tcp://127.0.0.1:0', `unix://${path}`], udp: ['udp://127.0.0.1:0'] };
  const listen = transportsOf(service).flatMap((transport) => addresses[transport]);
  const tree = { services: { [service]: { listen, ...keys } } };
  const source = { name: 'config', directory: '/', text: undefined, tree, env: {}, sets: [] };
  const loaded = await loadConfig(source, { importModules: true });
  const lines = new LogLines();
  const log = createLog(loaded.config.log, lines);
  const daemon = new InProcessDaemon({
    config: loaded.config,
    services: await prepareServices(loaded, systemClock, Math.random, log, 1),
    plan: await planListeners(loaded.config, new Map(), socketAccessFor(null)),
    clock: systemClock,
    random: Math.random,
    log,
  });
  await daemon.ready;
  onTestFinished(async () => {
    await daemon.stop(0);
  });
  const portOf = (transport: string): number =>
    daemon.listeners.find((listener) => listener.transport === transport)?.port ?? 0;
  return {
    tcp: { host: '127.0.0.1', port: portOf('tcp') },
    udp: { host: '127.0.0.1', port: portOf('udp') },
    unix: { path },
    log: lines,
    counters: () => daemon.report.services.get(service) as ServiceCounters,
  };
}
