import { stringify } from 'yaml';
import type { AnyServiceModule } from '../../services/index.ts';
import type { LoadedConfig } from './loaded-config.ts';
import type { ServiceConfig } from './config.ts';
import { plainFromRaw, type Raw } from './raw.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from './schema.ts';
import { isLeaf, type Section, type Values } from './section.ts';

/** A resolved config as plain JSON, in the shape and the units of a config file: it is itself a valid config. */
export function configToJson({ config, modules }: LoadedConfig): unknown {
  const daemon: Values<typeof daemonSchema> = {
    workers: config.workers,
    user: config.user,
    group: config.group,
    log: config.log,
    shutdown: { grace: config.shutdown.graceMs },
    reload: { grace: config.reload.graceMs },
    admin: config.admin,
  };
  const services = config.services.map((service) => [service.name, serviceToJson(service, modules.get(service.name))]);
  return { ...printSection(daemonSchema, daemon), services: Object.fromEntries(services) as unknown };
}

/** A resolved config as YAML. Loaded again it gives the same config. */
export function printConfig(loaded: LoadedConfig): string {
  return stringify(configToJson(loaded), {
    lineWidth: 0,
    version: '1.2',
    schema: 'core',
    aliasDuplicateObjects: false,
  });
}

function serviceToJson(service: ServiceConfig, kind: AnyServiceModule | undefined): unknown {
  const own: Values<typeof ownSchema> = {
    type: service.module === undefined ? service.type : null,
    module: service.module ?? null,
    listen: service.listen,
  };
  const options = kind === undefined ? service.options : printSection(optionsSchema(kind), service.options);
  return {
    ...Object.fromEntries(Object.entries(printSection(ownSchema, own)).filter(([, value]) => value !== null)),
    ...printSection(commonSchema, commonValues(service)),
    ...(service.module === undefined ? options : { options }),
  };
}

function commonValues({
  access,
  proxy,
  stream,
  socket,
  datagram,
  exposeUdp,
}: ServiceConfig): Values<typeof commonSchema> {
  return {
    allow: access.allow,
    deny: access.deny,
    exempt: access.exempt,
    dryRun: stream.dryRun,
    proxyProtocol: { from: proxy.from, exempt: access.exemptByHeader, timeout: proxy.timeoutMs },
    idleTimeout: stream.idleTimeoutMs,
    stallTimeout: stream.stallTimeoutMs,
    maxLifetime: stream.maxLifetimeMs,
    lingerTimeout: stream.lingerTimeoutMs,
    maxBytes: stream.maxBytes,
    maxConnections: stream.maxConnections,
    maxConnectionsPerSource: stream.maxConnectionsPerSource,
    networkShare: stream.networkShare,
    connectionRate: stream.connectionRate,
    streamPrefix: stream.sourcePrefix,
    keepAlive: { enabled: socket.keepAlive.enabled, delay: socket.keepAlive.delayMs },
    noDelay: socket.noDelay,
    backlog: socket.backlog,
    datagramRate: datagram.datagramRate,
    datagramServiceRate: datagram.datagramServiceRate,
    datagramPrefix: datagram.sourcePrefix,
    maxAmplification: datagram.maxAmplification,
    allowSourcePorts: datagram.allowSourcePorts,
    receiveBuffer: datagram.receiveBufferBytes,
    exposeUdp,
  };
}

function printSection(section: Section, values: { readonly [key: string]: unknown }): Record<string, unknown> {
  const entries = Object.entries(section).map(([key, node]): [string, unknown] => {
    const value = values[key];
    if (!isLeaf(node)) return [key, printSection(node, value as { readonly [key: string]: unknown })];
    const raw: Raw = node.format.print(value);
    return [key, plainFromRaw(raw)];
  });
  return Object.fromEntries(entries);
}
