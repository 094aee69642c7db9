import { availableParallelism } from 'node:os';
import type { Config, ServiceConfig } from './config.ts';
import type { Instance } from './instances.ts';
import type { daemonSchema } from './schema.ts';
import type { Values } from './section.ts';
import type { plainSection } from './service-section.ts';

/** Resolves the daemon's part of a config. */
export function resolveDaemon(values: Values<typeof daemonSchema>, services: readonly ServiceConfig[]): Config {
  const { workers, user, group, log, shutdown, reload, admin } = values;
  return {
    workers: workers === 'auto' ? autoWorkers(availableParallelism()) : workers,
    user,
    group,
    log,
    shutdown: { graceMs: shutdown.grace },
    reload: { graceMs: reload.grace },
    admin,
    services,
  };
}

/** At least two, so that a crash leaves every TCP port open. More than four do not serve more clients. */
function autoWorkers(processors: number): number {
  return Math.min(4, Math.max(2, processors));
}

/** Resolves a service's part of a config. */
export function resolveService(
  { name, type, moduleUrl, module }: Instance,
  values: Values<typeof plainSection>,
  options: Readonly<Record<string, unknown>>,
): ServiceConfig {
  return {
    name,
    type,
    moduleUrl,
    listen: values.listen,
    access: {
      allow: values.allow,
      deny: values.deny,
      exempt: values.exempt,
      exemptByHeader: values.proxyProtocol.exempt,
    },
    proxy: { from: values.proxyProtocol.from, timeoutMs: values.proxyProtocol.timeout },
    stream: {
      idleTimeoutMs: values.idleTimeout,
      stallTimeoutMs: values.stallTimeout,
      maxLifetimeMs: values.maxLifetime,
      lingerTimeoutMs: values.lingerTimeout,
      maxBytes: values.maxBytes,
      maxConnections: values.maxConnections,
      maxConnectionsPerSource: values.maxConnectionsPerSource,
      networkShare: values.networkShare,
      connectionRate: values.connectionRate,
      sourcePrefix: values.streamPrefix,
      dryRun: values.dryRun,
    },
    socket: {
      keepAlive: { enabled: values.keepAlive.enabled, delayMs: values.keepAlive.delay },
      noDelay: values.noDelay,
      backlog: values.backlog,
    },
    datagram: {
      datagramRate: values.datagramRate,
      datagramServiceRate: values.datagramServiceRate,
      sourcePrefix: values.datagramPrefix,
      dryRun: values.dryRun,
      maxAmplification: values.maxAmplification,
      allowSourcePorts: values.allowSourcePorts,
      receiveBufferBytes: values.receiveBuffer,
    },
    exposeUdp: values.exposeUdp,
    udpHazard: module?.udpHazard,
    options,
  };
}
