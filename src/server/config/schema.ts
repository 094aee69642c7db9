import type { AnyServiceModule } from '../../services/index.ts';
import type { OptionSpec } from '../../service.ts';
import { type Format, orNull, words } from './format.ts';
import * as formats from './formats.ts';
import type { Leaf, Section } from './section.ts';

/** The keys of the whole daemon. */
export const daemonSchema = {
  workers: leaf(
    formats.workers,
    'auto',
    'How many worker processes serve clients. `auto` is the number of processors, but at least 2 and at most 4; ' +
      '0 runs everything in one process.',
  ),
  user: leaf(
    orNull(formats.account),
    null,
    'The user that workers run as when the daemon is started as root; what the config names is opened with its rights. Null is ' +
      'smallservd where the machine has that user, else nobody; to stay root, write root.',
  ),
  group: leaf(
    orNull(formats.account),
    null,
    'The group that workers run as when the daemon is started as root. Null is the primary group of the user.',
  ),
  log: {
    level: leaf(
      words(['debug', 'info', 'warn', 'error', 'silent']),
      'info',
      'The least important kind of line that is logged.',
    ),
    connections: leaf(
      words(['debug', 'info', 'warn', 'off']),
      'info',
      'The level of the line that is logged for each closed connection; `off` writes none.',
    ),
    file: leaf(
      orNull(formats.file),
      null,
      'The file that the log is appended to, relative to the config file; a new one can be read by its owner alone. Null is the standard output.',
    ),
  },
  shutdown: {
    grace: leaf(
      formats.grace,
      '10s',
      'How long clients may take to finish when the daemon stops, before they are cut.',
    ),
  },
  reload: {
    grace: leaf(
      formats.grace,
      '10m',
      'How long clients may go on under the config that they came to, after a reload has replaced it.',
    ),
  },
  admin: {
    listen: leaf(
      orNull(formats.adminListen),
      null,
      'Where metrics, health and status are served over HTTP: a TCP address or a UNIX socket; null is nowhere.',
    ),
    hosts: leaf(
      formats.strings,
      [],
      'Names by which the admin endpoint may be asked for besides localhost and IP addresses; /livez and /readyz answer to any.',
    ),
  },
} satisfies Section;

/** The keys that every service has, and that `defaults` sets for all of them. */
export const commonSchema = {
  allow: leaf(formats.cidrs, [], 'The only clients that are served, by address or network. Empty: everybody.'),
  deny: leaf(formats.cidrs, [], 'Clients that are not served, by address or network, even if `allow` names them.'),
  exempt: leaf(
    formats.cidrs,
    ['127.0.0.0/8', '::1/128'],
    'Clients, by address or network, to which rates and the limits per source do not apply.',
  ),
  dryRun: leaf(
    formats.boolean,
    false,
    'With true the rates and connection limits refuse nobody: they count and log whom they would refuse. To try limits out.',
  ),
  proxyProtocol: {
    from: leaf(
      formats.cidrs,
      [],
      'Proxies, by address or network, whose word the service takes: over TCP it serves them alone, each connection begins with a PROXY header ' +
        '(version 1 or 2), and the address in it is the client. Empty: no headers.',
    ),
    exempt: leaf(
      formats.cidrs,
      [],
      'Clients that come through a proxy, by the address that the PROXY header gives them, to which rates and the limits per source do not apply. ' +
        '`exempt` does not hold for them: the proxy may pass on whatever its own client claims.',
    ),
    timeout: leaf(formats.headerTimeout, '5s', 'How long a connection may take to send its PROXY header.'),
  },
  idleTimeout: leaf(
    formats.duration,
    '5m',
    'A connection is ended when the client has neither sent nor taken anything for this long.',
  ),
  stallTimeout: leaf(
    formats.duration,
    '30s',
    'A connection is ended when the client has taken nothing for this long while there is something for it.',
  ),
  maxLifetime: leaf(formats.duration, '24h', 'A connection is ended when it is this old.'),
  lingerTimeout: leaf(
    formats.duration,
    '5s',
    "How long a connection waits for the client's end of it after its own, before it is destroyed.",
  ),
  maxBytes: leaf(formats.quota, '1TiB', 'A connection is ended when it has carried this much, in and out together.'),
  maxConnections: leaf(
    formats.count,
    1000,
    'How many connections the service holds at a time. When it is full, a newcomer takes the place of a client of the largest source, or is refused.',
  ),
  maxConnectionsPerSource: leaf(
    formats.count,
    100,
    'How many connections one source, a user of a UNIX socket, an IPv4 address or an IPv6 /64 network by default, holds at a time; more are refused.',
  ),
  networkShare: {
    ipv6Prefix56: leaf(
      formats.share,
      '25%',
      'How much of `maxConnections` the sources of one IPv6 /56 network may hold together; more are refused. 100% is no limit.',
    ),
    ipv6Prefix48: leaf(
      formats.share,
      '50%',
      'How much of `maxConnections` the sources of one IPv6 /48 network may hold together; more are refused. 100% is no limit.',
    ),
  },
  connectionRate: {
    perSecond: leaf(formats.count, 100, 'How many connections a second one source may open in the long run.'),
    burst: leaf(formats.count, 200, 'How many connections one source may open at once, after a pause.'),
  },
  streamPrefix: {
    ipv4: leaf(formats.prefixIpv4, 32, 'How many leading bits of an IPv4 address make one source of connections.'),
    ipv6: leaf(formats.prefixIpv6, 64, 'How many leading bits of an IPv6 address make one source of connections.'),
  },
  keepAlive: {
    enabled: leaf(formats.boolean, true, 'Whether TCP asks a silent client now and then if it is still there.'),
    delay: leaf(formats.keepAliveDelay, '60s', 'How long a client is silent before TCP asks the first time.'),
  },
  noDelay: leaf(
    formats.boolean,
    true,
    'Whether small pieces are sent at once; with false TCP gathers them (the algorithm of Nagle).',
  ),
  backlog: leaf(
    formats.backlog,
    511,
    'How many connections the system holds ready before the service takes them; the system has a limit of its own.',
  ),
  datagramRate: {
    perSecond: leaf(
      formats.count,
      200,
      'How many datagrams a second are answered for one source, an IPv4 /24 or IPv6 /56 network by default, in the long run.',
    ),
    burst: leaf(formats.count, 400, 'How many datagrams are answered for one source at once, after a pause.'),
  },
  datagramServiceRate: {
    perSecond: leaf(formats.count, 20_000, 'How many datagrams a second the service answers in the long run.'),
    burst: leaf(formats.count, 40_000, 'How many datagrams the service answers at once, after a pause.'),
  },
  datagramPrefix: {
    ipv4: leaf(formats.prefixIpv4, 24, 'How many leading bits of an IPv4 address make one source of datagrams.'),
    ipv6: leaf(formats.prefixIpv6, 56, 'How many leading bits of an IPv6 address make one source of datagrams.'),
  },
  maxAmplification: leaf(
    formats.ratio,
    2,
    'How many times larger than its request, on the wire, the answer to a datagram may be.',
  ),
  allowSourcePorts: leaf(
    formats.ports,
    [],
    'Source ports that datagrams are answered on although they are below 1024, ours or of a known reflector.',
  ),
  receiveBuffer: leaf(
    formats.bufferSize,
    '4MiB',
    'The receive buffer that is asked for on a UDP socket; the system has a limit of its own (net.core.rmem_max).',
  ),
  exposeUdp: leaf(
    formats.boolean,
    false,
    'Whether chargen, qotd and systat may answer UDP on an address that is not loopback, private or link-local. ' +
      'Think twice: there they serve forgers of addresses.',
  ),
} satisfies Section;

/** The keys of a service that `defaults` does not have. */
export const ownSchema = {
  type: leaf(
    orNull(formats.string),
    null,
    'The kind of service; see `smallservd services`. Null: the name of the service is its kind.',
  ),
  module: leaf(
    orNull(formats.string),
    null,
    'What to load instead of a built-in service: a path, relative to the config file, or the name of a package.',
  ),
  listen: leaf(formats.listen, [], 'Where the service listens: any number of addresses, TCP and UDP together.'),
} satisfies Section;

/** The options of a kind of service as keys of the config. */
export function optionsSchema(kind: Pick<AnyServiceModule, 'options'>): Section {
  return Object.fromEntries(Object.entries(kind.options).map(([key, spec]) => [key, optionLeaf(spec)]));
}

function optionLeaf({ doc, format: name, default: value }: OptionSpec<unknown>): Leaf<unknown> {
  const plain: Format<unknown> = typeof name === 'string' ? formats.optionFormats[name] : words(name);
  const format: Format<unknown> = value === null ? orNull(plain) : plain;
  return { doc, format, default: format.print(value) };
}

function leaf<Value>(format: Format<Value>, value: Leaf<Value>['default'], doc: string): Leaf<Value> {
  return { doc, format, default: value };
}
