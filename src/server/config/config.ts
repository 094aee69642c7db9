import { availableParallelism } from 'node:os';
import type { AccessRules, DatagramLimits, ProxyRules, StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from '../transport/socket-options.ts';
import type { Instance } from './instances.ts';
import type { daemonSchema } from './schema.ts';
import type { Values } from './section.ts';
import type { plainSection } from './service-section.ts';

/** A config, validated and complete. */
export type Config = Readonly<ReturnType<typeof resolveDaemon>>;

export type LogConfig = Config['log'];

export type ServiceConfig = Readonly<ReturnType<typeof resolveService>>;

/** Resolves the daemon's part of a config. */
export function resolveDaemon(values: Values<typeof daemonSchema>, services: readonly ServiceConfig[]) {
  const { workers, sockets, user, group, log, shutdown, reload, admin } = values;
  return {
    /** 0 runs everything in one process. */
    workers: workers === 'auto' ? autoWorkers(availableParallelism()) : workers,
    sockets,
    user,
    group,
    log,
    shutdown: { graceMs: shutdown.grace },
    /** Applies to clients of the config that was replaced. */
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
) {
  return {
    name,
    /** Name of the service's module, or the service's name while a third-party module is not imported. */
    type,
    /** `file:` URL of a third-party module, or its name in the config while it is not imported. */
    moduleUrl,
    listen: values.listen,
    freebind: values.freebind,
    fragment: values.fragment,
    access: {
      allow: values.allow,
      deny: values.deny,
      exempt: values.exempt,
      exemptByHeader: values.proxyProtocol.exempt,
    } satisfies AccessRules,
    proxy: { from: values.proxyProtocol.from, timeoutMs: values.proxyProtocol.timeout } satisfies ProxyRules,
    stream: {
      idleTimeoutMs: values.idleTimeout,
      stallTimeoutMs: values.stallTimeout,
      minProgressBytes: values.minRate,
      maxLifetimeMs: values.maxLifetime,
      lingerTimeoutMs: values.lingerTimeout,
      maxBytes: values.maxBytes,
      maxConnections: values.maxConnections,
      maxConnectionsPerSource: values.maxConnectionsPerSource,
      networkShare: values.networkShare,
      connectionRate: values.connectionRate,
      sourcePrefix: values.streamPrefix,
      dryRun: values.dryRun,
    } satisfies StreamLimits,
    socket: {
      keepAlive: { enabled: values.keepAlive.enabled, delayMs: values.keepAlive.delay },
      noDelay: values.noDelay,
      backlog: values.backlog,
    } satisfies SocketOptions,
    datagram: {
      datagramRate: values.datagramRate,
      datagramServiceRate: values.datagramServiceRate,
      sourcePrefix: values.datagramPrefix,
      dryRun: values.dryRun,
      maxAmplification: values.maxAmplification,
      allowSourcePorts: values.allowSourcePorts,
      receiveBufferBytes: values.receiveBuffer,
    } satisfies DatagramLimits,
    exposeUdp: values.exposeUdp,
    /** Why the UDP side can be abused; undefined if it cannot, or while the module is not imported. */
    udpHazard: module?.udpHazard,
    options,
  };
}
