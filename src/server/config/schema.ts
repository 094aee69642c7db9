import type { AnyServiceModule } from '../../services/index.ts';
import { type Format, words } from './format.ts';
import { optionFormats } from './formats.ts';
import type { Key, Section } from './section.ts';

/** Keys of the daemon. */
export const daemonSchema = {
  workers: {
    format: 'workers',
    default: 'auto',
    doc: 'Number of worker processes. `auto` is the number of processors, at least 2 and at most 4, or fewer where CPU time or memory is limited: 1 with less than one processor, and usually 0 in less than 112 MiB. 0 runs everything in one process, which cannot reload its config.',
  },
  sockets: {
    format: ['auto', 'kernel', 'node'],
    default: 'auto',
    doc: 'Sockets of the services. `kernel` makes system calls directly: faster, and over UDP a reply comes from the address that was asked. `node` goes through Node.js. `auto` is `kernel` where koffi runs (64-bit Linux), else `node`.',
  },
  user: {
    format: 'account',
    default: null,
    doc: 'User that workers run as when the daemon is started as root. Files that the config names, except log.file, are opened as this user. Null is smallservd if that user exists, else nobody. To stay root, set root.',
  },
  group: {
    format: 'account',
    default: null,
    doc: 'Group that workers run as when the daemon is started as root. Null is the primary group of the user.',
  },
  log: {
    level: {
      format: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
      doc: 'Minimum level of log lines.',
    },
    connections: {
      format: ['debug', 'info', 'warn', 'off'],
      default: 'info',
      doc: 'Level of the log line for each closed connection. `off` writes none.',
    },
    file: {
      format: 'file',
      default: null,
      doc: 'File to append the log to, relative to the config file. A new file is readable only by its owner. Null is standard output.',
    },
  },
  shutdown: {
    grace: {
      format: 'grace',
      default: '10s',
      doc: 'How long clients may take to finish when the daemon stops, before they are disconnected.',
    },
  },
  reload: {
    grace: {
      format: 'grace',
      default: '10m',
      doc: 'How long existing clients may continue under the old config after a reload.',
    },
  },
  admin: {
    listen: {
      format: 'adminListen',
      default: null,
      doc: 'Where metrics, health, status and a page for people are served over HTTP: a TCP address, a UNIX socket or an inherited socket. Null disables the endpoint.',
    },
    hosts: {
      format: 'strings',
      default: [],
      doc: 'Host names that the admin endpoint accepts in addition to localhost and IP addresses. /livez and /readyz accept any.',
    },
  },
} as const satisfies Section;

/** Keys that every service has, with defaults for all services under `defaults`. */
export const commonSchema = {
  allow: {
    format: 'cidrs',
    default: [],
    doc: 'Serve only these clients, by address or network. Empty serves all.',
  },
  deny: {
    format: 'cidrs',
    default: [],
    doc: 'Clients to refuse, by address or network, even if `allow` includes them.',
  },
  exempt: {
    format: 'cidrs',
    default: ['127.0.0.0/8', '::1/128'],
    doc: 'Clients, by address or network, exempt from rate limits and per-source limits.',
  },
  dryRun: {
    format: 'boolean',
    default: false,
    doc: 'If true, rate and connection limits refuse no client and drop no datagram. What they would have refused or dropped is counted and logged. Use it to try out limits.',
  },
  proxyProtocol: {
    from: {
      format: 'cidrs',
      default: [],
      doc: 'Proxies, by address or network, trusted to send PROXY headers. Only these proxies are served, except over UNIX sockets, and the address in the header is the client. Over TCP each connection must begin with a header (version 1 or 2), over UDP each datagram, or the first of a flow (version 2). Empty expects no headers.',
    },
    exempt: {
      format: 'cidrs',
      default: [],
      doc: 'Clients behind a proxy, by the address in the PROXY header, exempt from rate limits and per-source limits. `exempt` does not apply to them, because a proxy may pass on any address that its own client claims.',
    },
    timeout: {
      format: 'headerTimeout',
      default: '5s',
      doc: 'How long a TCP connection may take to send its PROXY header.',
    },
  },
  idleTimeout: {
    format: 'duration',
    default: '5m',
    doc: 'Close a connection when the client has neither sent nor received anything for this long. Also forget the client of a UDP flow of a proxy when nothing has come for this long.',
  },
  stallTimeout: {
    format: 'duration',
    default: '30s',
    doc: 'Close a connection when data has been waiting for the client for this long, and it has acknowledged fewer bytes than `minRate`.',
  },
  minRate: {
    format: 'size',
    default: '1KiB',
    doc: 'Minimum number of bytes that a client must acknowledge in each `stallTimeout` (not per second) while data is waiting for it. A client that acknowledges everything is not stalled.',
  },
  maxLifetime: { format: 'duration', default: '24h', doc: 'Maximum age of a connection.' },
  lingerTimeout: {
    format: 'duration',
    default: '5s',
    doc: 'How long a connection waits for the client to close its side after the server has closed its own. Then it is destroyed.',
  },
  maxBytes: {
    format: 'quota',
    default: '1TiB',
    doc: 'Close a connection when it has carried this much, in both directions combined.',
  },
  maxConnections: {
    format: 'count',
    default: 1000,
    doc: 'Maximum number of concurrent connections of the service. When it is reached, a new connection replaces a client of the source with the most connections, or is refused.',
  },
  maxConnectionsPerSource: {
    format: 'count',
    default: 100,
    doc: 'Maximum number of concurrent connections from one source. More are refused. By default a source is an IPv4 address, an IPv6 /64 network, a link-local IPv6 host or a user of a UNIX socket.',
  },
  networkShare: {
    ipv6Prefix56: {
      format: 'share',
      default: '25%',
      doc: 'Share of `maxConnections` that the sources of one IPv6 /56 network may hold together. More are refused. 100% is no limit.',
    },
    ipv6Prefix48: {
      format: 'share',
      default: '50%',
      doc: 'Share of `maxConnections` that the sources of one IPv6 /48 network, or the link-local hosts of one link, may hold together. More are refused. 100% is no limit.',
    },
  },
  connectionRate: {
    perSecond: {
      format: 'count',
      default: 100,
      doc: 'Sustained rate of new connections per second from one source.',
    },
    burst: { format: 'count', default: 200, doc: 'Burst: connections that an idle source may open at once.' },
  },
  streamPrefix: {
    ipv4: {
      format: 'prefixIpv4',
      default: 32,
      doc: 'Number of leading bits of an IPv4 address that identify one source of connections.',
    },
    ipv6: {
      format: 'prefixIpv6',
      default: 64,
      doc: 'Number of leading bits of an IPv6 address that identify one source of connections.',
    },
  },
  keepAlive: {
    enabled: {
      format: 'boolean',
      default: true,
      doc: 'Whether TCP probes a silent client from time to time to check that it is still there.',
    },
    delay: {
      format: 'keepAliveDelay',
      default: '60s',
      doc: 'How long a client must be silent before the first probe.',
    },
  },
  noDelay: {
    format: 'boolean',
    default: true,
    doc: "Whether small writes are sent at once. If false, TCP coalesces them (Nagle's algorithm).",
  },
  backlog: {
    format: 'backlog',
    default: 511,
    doc: 'Number of connections that the system queues before the service accepts them. The system may set a lower limit.',
  },
  freebind: {
    format: 'boolean',
    default: false,
    doc: 'Whether to listen on addresses that this machine does not have yet. If false, startup and a reload wait five seconds for them. Not available with `sockets: node` and `workers: 0`.',
  },
  datagramRate: {
    perSecond: {
      format: 'count',
      default: 200,
      doc: 'Sustained rate of datagrams per second answered for one source, by default an IPv4 /24 or IPv6 /56 network, or a link-local IPv6 host.',
    },
    burst: {
      format: 'count',
      default: 400,
      doc: 'Burst: datagrams answered at once for an idle source.',
    },
  },
  datagramServiceRate: {
    perSecond: {
      format: 'count',
      default: 20_000,
      doc: 'Sustained rate of datagrams per second that the service answers.',
    },
    burst: { format: 'count', default: 40_000, doc: 'Burst: datagrams that an idle service answers at once.' },
  },
  datagramPrefix: {
    ipv4: {
      format: 'prefixIpv4',
      default: 24,
      doc: 'Number of leading bits of an IPv4 address that identify one source of datagrams.',
    },
    ipv6: {
      format: 'prefixIpv6',
      default: 56,
      doc: 'Number of leading bits of an IPv6 address that identify one source of datagrams.',
    },
  },
  maxAmplification: {
    format: 'ratio',
    default: 2,
    doc: 'Maximum ratio of the size of a reply datagram to that of its request, on the wire.',
  },
  allowSourcePorts: {
    format: 'ports',
    default: [],
    doc: 'Source ports to answer even if they are below 1024, served by this daemon or known as reflectors.',
  },
  receiveBuffer: {
    format: 'bufferSize',
    default: '4MiB',
    doc: 'Receive buffer to request for a UDP socket. The system may set a lower limit (net.core.rmem_max).',
  },
  fragment: {
    format: 'boolean',
    default: false,
    doc: 'Whether routers may fragment UDP replies, which are then sent over IPv4 without DF. If false, and always over IPv6, replies larger than the path MTU are lost until the system has learned that MTU and fragments them itself. Not available with `sockets: node` and `workers: 0`.',
  },
  exposeUdp: {
    format: 'boolean',
    default: false,
    doc: 'Whether chargen, qotd, systat and envelope may answer UDP on an address that is not loopback, private or link-local. Think twice: anyone who forges source addresses can abuse them there.',
  },
} as const satisfies Section;

/** How a service misbehaves on purpose. */
const faultsSchema = {
  seed: {
    format: 'seed',
    default: 0,
    doc: 'Start of the random decisions. The same seed and the same clients, served by one worker, give the same faults.',
  },
  delay: {
    probability: probabilityKey('that a UDP reply or a chunk of a stream is delayed'),
    time: {
      format: 'faultTime',
      default: null,
      doc: 'Mean delay of each UDP reply and of each chunk of a stream, which keeps its order. Null delays nothing.',
    },
    jitter: {
      format: 'faultTime',
      default: '0s',
      doc: 'How much the delay varies: the standard deviation, or for `uniform` the most that it differs from `time`. A delay below zero is none.',
    },
    distribution: {
      format: ['normal', 'uniform', 'pareto'],
      default: 'normal',
      doc: 'Distribution of the delay. `pareto` has a long tail: few replies are very late.',
    },
  },
  corrupt: ratioKey('Probability that one bit of a UDP reply, or of a chunk of a stream, is flipped.'),
  loss: ratioKey('Probability that a UDP reply is not sent.'),
  duplicate: ratioKey('Probability that a UDP reply is sent twice, if `maxAmplification` allows it.'),
  reorder: {
    probability: probabilityKey('that a UDP reply is delayed, so that later ones overtake it'),
    time: {
      format: 'faultTime',
      default: null,
      doc: 'How much longer such a reply is delayed, in addition to `delay`. Null reorders nothing.',
    },
  },
  truncate: {
    probability: probabilityKey('that a UDP reply is cut'),
    size: { format: 'size', default: null, doc: 'Bytes that are left of such a reply. Null cuts nothing.' },
  },
  answers: {
    probability: probabilityKey('that a request is answered several times over UDP'),
    count: {
      format: 'copies',
      default: null,
      doc: 'How many copies of each such reply are sent, if `maxAmplification` allows it. Null sends one.',
    },
  },
  acceptDelay: {
    probability: probabilityKey('that a new client waits to be served'),
    time: { format: 'faultTime', default: null, doc: 'How long such a client waits. Null serves it at once.' },
  },
  firstByteDelay: {
    probability: probabilityKey('that the first byte for a stream client is delayed'),
    time: {
      format: 'faultTime',
      default: null,
      doc: 'How long such a byte is delayed, in addition to `delay`. Null does not delay it.',
    },
  },
  rate: {
    probability: probabilityKey('that the output of a connection is slowed down'),
    perSecond: {
      format: 'size',
      default: null,
      doc: 'Bytes per second that such a connection sends. Null is as fast as the client takes them.',
    },
  },
  closeAfter: cutKeys('closed'),
  resetAfter: cutKeys('reset'),
  resetOnAccept: ratioKey('Probability that a new connection is reset at once.'),
  halfCloseEarly: ratioKey(
    'Probability that the service closes its side of a connection after the first chunk that it sends. The client is still read.',
  ),
  blackhole: ratioKey(
    'Probability that everything from a client is read, and nothing is ever answered, not even its FIN.',
  ),
  stopReading: ratioKey('Probability that nothing from a client is read.'),
  maxDelayed: {
    datagrams: {
      format: 'count',
      default: 10_000,
      doc: 'Maximum number of UDP replies that the service delays in each worker. More are lost.',
    },
    bytes: {
      format: 'size',
      default: '16MiB',
      doc: 'Maximum size of everything that the service delays in each worker. UDP replies beyond it are lost. Stream clients wait for room, and are reset if there is none.',
    },
  },
} as const satisfies Section;

function ratioKey(doc: string) {
  return { format: 'probability', default: 0, doc } as const;
}

function probabilityKey(what: string) {
  return { format: 'probability', default: 1, doc: `Probability ${what}.` } as const;
}

function cutKeys(what: 'closed' | 'reset') {
  return {
    probability: probabilityKey(`that a connection is ${what} early`),
    size: { format: 'size', default: null, doc: `Bytes sent after which such a connection is ${what}, or null.` },
    time: {
      format: 'faultTime',
      default: null,
      doc: `How long after its client was first served such a connection is ${what}, or null.`,
    },
  } as const;
}

/** Keys of a service that cannot be set in `defaults`. */
export const ownSchema = {
  type: {
    format: 'string',
    default: null,
    doc: 'Service type; see `smallservd services`. Null: the name of the service is its type.',
  },
  module: {
    format: 'string',
    default: null,
    doc: 'Module to load instead of a built-in service: a path relative to the config file, or a package name.',
  },
  listen: {
    format: 'listen',
    default: [],
    doc: 'Addresses to listen on: at least one, TCP and UDP together.',
  },
  faults: faultsSchema,
} as const satisfies Section;

/** Returns the options of a service module as keys of the config. */
export function optionsSchema(module: Pick<AnyServiceModule, 'options'>): Section {
  return Object.fromEntries(
    Object.entries(module.options).map(([key, { doc, format, default: value }]): [string, Key] => {
      // A module declares its defaults as values.
      const plain: Format<unknown> = typeof format === 'string' ? optionFormats[format] : words(format);
      return [key, { format, default: value === null ? null : plain.print(value), doc }];
    }),
  );
}
