import type { AccessRules, DatagramLimits, ProxyRules, StreamLimits } from '../guard/limits.ts';
import { activeFaults, type FaultRules } from '../faults/fault-rules.ts';
import type { SocketOptions } from '../transport/socket-options.ts';
import { autoWorkers, readMachine } from './auto-workers.ts';
import type { Instance } from './instances.ts';
import type { daemonSchema } from './schema.ts';
import type { Values } from './section.ts';
import type { plainSection } from './service-section.ts';

/** A config, validated and complete. */
export type Config = Readonly<ReturnType<typeof resolveDaemon>>;

export type LogConfig = Config['log'];

export type ServiceConfig = Readonly<ReturnType<typeof resolveService>>;

/** Linux can be told otherwise, and a worker more than necessary does no harm. */
const firstUnprivilegedPort = 1024;

/** Resolves the daemon's part of a config. */
export function resolveDaemon(values: Values<typeof daemonSchema>, services: readonly ServiceConfig[]) {
  const { workers, sockets, user, group, log, shutdown, reload, admin } = values;
  const chosen =
    workers === 'auto' ? autoWorkers(readMachine(), needSupervisor(services)) : { workers, limit: undefined };
  return {
    /** 0 runs everything in one process. */
    workers: chosen.workers,
    /** What kept `workers: auto` low. */
    workersLimit: chosen.limit,
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

/**
 * Whether only a supervisor can open the listeners: root opens privileged ports and the sockets in its own directories,
 * and one process would have become the user of the config before.
 */
function needSupervisor(services: readonly ServiceConfig[]): boolean {
  const addresses = services.flatMap(({ listen }) => listen);
  const isRootOnly = addresses.some((each) =>
    'port' in each ? each.port > 0 && each.port < firstUnprivilegedPort : each.scheme === 'unix',
  );
  return isRootOnly && process.geteuid?.() === 0;
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
    /** `file:` URL of a third-party module, its name in the config while it is not imported, or that of an object. */
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
    /** Undefined if there are none. */
    faults: resolveFaults(values.faults),
    /** Why the UDP side can be abused; undefined if it cannot, or while the module is not imported. */
    udpHazard: module?.udpHazard,
    /** The only transport over which it answers; undefined for both, or while the module is not imported. */
    transport: module?.transport,
    options,
  };
}

/** Undefined if no fault can happen. */
export function resolveFaults(values: Values<typeof plainSection>['faults']): FaultRules | undefined {
  const { delay, reorder, truncate, acceptDelay, firstByteDelay, rate, closeAfter, resetAfter, ...others } = values;
  const rules: FaultRules = {
    ...others,
    delay: { ...timed(delay), jitterMs: delay.jitter, distribution: delay.distribution },
    reorder: timed(reorder),
    truncate: { probability: truncate.probability, bytes: truncate.size },
    acceptDelay: timed(acceptDelay),
    firstByteDelay: timed(firstByteDelay),
    rate: { probability: rate.probability, bytesPerSecond: rate.perSecond },
    closeAfter: { ...timed(closeAfter), bytes: closeAfter.size },
    resetAfter: { ...timed(resetAfter), bytes: resetAfter.size },
  };
  return Object.keys(activeFaults(rules)).length > 0 ? rules : undefined;
}

function timed({ probability, time }: { readonly probability: number; readonly time: number | null }) {
  return { probability, timeMs: time };
}
