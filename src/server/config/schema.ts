import type { AnyServiceModule } from '../../services/index.ts';
import { words } from './format.ts';
import { optionFormats } from './formats.ts';
import type { Key, Section } from './section.ts';

/** The keys of the whole daemon. */
export const daemonSchema = {
  workers: {
    format: 'workers',
    default: 'auto',
    doc:
      'How many worker processes serve clients. `auto` is the number of processors, but at least 2 and at most 4; ' +
      '0 runs everything in one process.',
  },
  user: {
    format: 'account',
    default: null,
    doc:
      'The user that workers run as when the daemon is started as root; what the config names is opened with its rights. Null is ' +
      'smallservd where the machine has that user, else nobody; to stay root, write root.',
  },
  group: {
    format: 'account',
    default: null,
    doc: 'The group that workers run as when the daemon is started as root. Null is the primary group of the user.',
  },
  log: {
    level: {
      format: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
      doc: 'The least important kind of line that is logged.',
    },
    connections: {
      format: ['debug', 'info', 'warn', 'off'],
      default: 'info',
      doc: 'The level of the line that is logged for each closed connection; `off` writes none.',
    },
    file: {
      format: 'file',
      default: null,
      doc: 'The file that the log is appended to, relative to the config file; a new one can be read by its owner alone. Null is the standard output.',
    },
  },
  shutdown: {
    grace: {
      format: 'grace',
      default: '10s',
      doc: 'How long clients may take to finish when the daemon stops, before they are cut.',
    },
  },
  reload: {
    grace: {
      format: 'grace',
      default: '10m',
      doc: 'How long clients may go on under the config that they came to, after a reload has replaced it.',
    },
  },
  admin: {
    listen: {
      format: 'adminListen',
      default: null,
      doc: 'Where metrics, health and status are served over HTTP: a TCP address or a UNIX socket; null is nowhere.',
    },
    hosts: {
      format: 'strings',
      default: [],
      doc: 'Names by which the admin endpoint may be asked for besides localhost and IP addresses; /livez and /readyz answer to any.',
    },
  },
} as const satisfies Section;

/** The keys that every service has, and that `defaults` sets for all of them. */
export const commonSchema = {
  allow: {
    format: 'cidrs',
    default: [],
    doc: 'The only clients that are served, by address or network. Empty: everybody.',
  },
  deny: {
    format: 'cidrs',
    default: [],
    doc: 'Clients that are not served, by address or network, even if `allow` names them.',
  },
  exempt: {
    format: 'cidrs',
    default: ['127.0.0.0/8', '::1/128'],
    doc: 'Clients, by address or network, to which rates and the limits per source do not apply.',
  },
  dryRun: {
    format: 'boolean',
    default: false,
    doc: 'With true the rates and connection limits refuse nobody: they count and log whom they would refuse. To try limits out.',
  },
  proxyProtocol: {
    from: {
      format: 'cidrs',
      default: [],
      doc:
        'Proxies, by address or network, whose word the service takes: over TCP it serves them alone, each connection begins with a PROXY header ' +
        '(version 1 or 2), and the address in it is the client. Empty: no headers.',
    },
    exempt: {
      format: 'cidrs',
      default: [],
      doc:
        'Clients that come through a proxy, by the address that the PROXY header gives them, to which rates and the limits per source do not apply. ' +
        '`exempt` does not hold for them: the proxy may pass on whatever its own client claims.',
    },
    timeout: {
      format: 'headerTimeout',
      default: '5s',
      doc: 'How long a connection may take to send its PROXY header.',
    },
  },
  idleTimeout: {
    format: 'duration',
    default: '5m',
    doc: 'A connection is ended when the client has neither sent nor taken anything for this long.',
  },
  stallTimeout: {
    format: 'duration',
    default: '30s',
    doc: 'A connection is ended when the client has taken nothing for this long while there is something for it.',
  },
  maxLifetime: { format: 'duration', default: '24h', doc: 'A connection is ended when it is this old.' },
  lingerTimeout: {
    format: 'duration',
    default: '5s',
    doc: "How long a connection waits for the client's end of it after its own, before it is destroyed.",
  },
  maxBytes: {
    format: 'quota',
    default: '1TiB',
    doc: 'A connection is ended when it has carried this much, in and out together.',
  },
  maxConnections: {
    format: 'count',
    default: 1000,
    doc: 'How many connections the service holds at a time. When it is full, a newcomer takes the place of a client of the largest source, or is refused.',
  },
  maxConnectionsPerSource: {
    format: 'count',
    default: 100,
    doc: 'How many connections one source, a user of a UNIX socket, an IPv4 address or an IPv6 /64 network by default, holds at a time; more are refused.',
  },
  networkShare: {
    ipv6Prefix56: {
      format: 'share',
      default: '25%',
      doc: 'How much of `maxConnections` the sources of one IPv6 /56 network may hold together; more are refused. 100% is no limit.',
    },
    ipv6Prefix48: {
      format: 'share',
      default: '50%',
      doc: 'How much of `maxConnections` the sources of one IPv6 /48 network may hold together; more are refused. 100% is no limit.',
    },
  },
  connectionRate: {
    perSecond: {
      format: 'count',
      default: 100,
      doc: 'How many connections a second one source may open in the long run.',
    },
    burst: { format: 'count', default: 200, doc: 'How many connections one source may open at once, after a pause.' },
  },
  streamPrefix: {
    ipv4: {
      format: 'prefixIpv4',
      default: 32,
      doc: 'How many leading bits of an IPv4 address make one source of connections.',
    },
    ipv6: {
      format: 'prefixIpv6',
      default: 64,
      doc: 'How many leading bits of an IPv6 address make one source of connections.',
    },
  },
  keepAlive: {
    enabled: {
      format: 'boolean',
      default: true,
      doc: 'Whether TCP asks a silent client now and then if it is still there.',
    },
    delay: {
      format: 'keepAliveDelay',
      default: '60s',
      doc: 'How long a client is silent before TCP asks the first time.',
    },
  },
  noDelay: {
    format: 'boolean',
    default: true,
    doc: 'Whether small pieces are sent at once; with false TCP gathers them (the algorithm of Nagle).',
  },
  backlog: {
    format: 'backlog',
    default: 511,
    doc: 'How many connections the system holds ready before the service takes them; the system has a limit of its own.',
  },
  datagramRate: {
    perSecond: {
      format: 'count',
      default: 200,
      doc: 'How many datagrams a second are answered for one source, an IPv4 /24 or IPv6 /56 network by default, in the long run.',
    },
    burst: {
      format: 'count',
      default: 400,
      doc: 'How many datagrams are answered for one source at once, after a pause.',
    },
  },
  datagramServiceRate: {
    perSecond: {
      format: 'count',
      default: 20_000,
      doc: 'How many datagrams a second the service answers in the long run.',
    },
    burst: { format: 'count', default: 40_000, doc: 'How many datagrams the service answers at once, after a pause.' },
  },
  datagramPrefix: {
    ipv4: {
      format: 'prefixIpv4',
      default: 24,
      doc: 'How many leading bits of an IPv4 address make one source of datagrams.',
    },
    ipv6: {
      format: 'prefixIpv6',
      default: 56,
      doc: 'How many leading bits of an IPv6 address make one source of datagrams.',
    },
  },
  maxAmplification: {
    format: 'ratio',
    default: 2,
    doc: 'How many times larger than its request, on the wire, the answer to a datagram may be.',
  },
  allowSourcePorts: {
    format: 'ports',
    default: [],
    doc: 'Source ports that datagrams are answered on although they are below 1024, ours or of a known reflector.',
  },
  receiveBuffer: {
    format: 'bufferSize',
    default: '4MiB',
    doc: 'The receive buffer that is asked for on a UDP socket; the system has a limit of its own (net.core.rmem_max).',
  },
  exposeUdp: {
    format: 'boolean',
    default: false,
    doc:
      'Whether chargen, qotd and systat may answer UDP on an address that is not loopback, private or link-local. ' +
      'Think twice: there they serve forgers of addresses.',
  },
} as const satisfies Section;

/** The keys of a service that `defaults` does not have. */
export const ownSchema = {
  type: {
    format: 'string',
    default: null,
    doc: 'The kind of service; see `smallservd services`. Null: the name of the service is its kind.',
  },
  module: {
    format: 'string',
    default: null,
    doc: 'What to load instead of a built-in service: a path, relative to the config file, or the name of a package.',
  },
  listen: {
    format: 'listen',
    default: [],
    doc: 'Where the service listens: any number of addresses, TCP and UDP together.',
  },
} as const satisfies Section;

/** The options of a kind of service as keys of the config. */
export function optionsSchema(module: Pick<AnyServiceModule, 'options'>): Section {
  return Object.fromEntries(
    Object.entries(module.options).map(([key, { doc, format, default: value }]): [string, Key] => {
      // A module has its defaults as values.
      const plain = typeof format === 'string' ? optionFormats[format] : words(format);
      return [key, { format, default: value === null ? null : plain.print(value), doc }];
    }),
  );
}
