/** The inetds of Debian, with their internal services on the ports that IANA assigned, in a network of the test. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Network, temporaryDirectory } from './machine.ts';
import { Program } from './program.ts';

/** The services that both have inside: systat and qotd would be programs of their own. */
const services = { echo: 7, discard: 9, daytime: 13, chargen: 19, time: 37 } as const;

const transports = [
  { protocol: 'tcp', socketType: 'stream', wait: 'no' },
  { protocol: 'udp', socketType: 'dgram', wait: 'yes' },
] as const;

const listeners = Object.entries(services).flatMap(([service, port]) =>
  transports.map((transport) => ({ service, port, ...transport })),
);

export const inetds = {
  /** xinetd 2.3.15.3: over IPv4 and IPv6. */
  xinetd: startXinetd,
  /** inetd of GNU inetutils 2.4: over IPv4 alone, as its config says `tcp` and `udp`. */
  'inetutils-inetd': startInetutilsInetd,
} as const;

export type InetdName = keyof typeof inetds;

/** A service over TCP that is a program: what it prints is the answer. */
export interface ProgramService {
  readonly service: string;
  readonly port: number;
  readonly server: string;
  readonly args: readonly string[];
}

/** Starts the inetd, with limits that no test reaches; resolves when it listens. It ends with the test. */
export async function startInetd(name: InetdName, network: Network): Promise<Program> {
  return inetds[name](network, temporaryDirectory());
}

/** xinetd.conf(5). Its log is a file, or it would look for a syslog daemon. */
export async function startXinetd(
  network: Network,
  directory: string,
  programs: readonly ProgramService[] = [],
): Promise<Program> {
  const config = join(directory, 'xinetd.conf');
  const internal = listeners.map(
    ({ service, port, protocol, socketType, wait }) => `service ${service} {
  id = ${service}-${protocol}
  type = INTERNAL UNLISTED
  port = ${port}
  socket_type = ${socketType}
  protocol = ${protocol}
  user = root
  wait = ${wait}
}`,
  );
  const external = programs.map(
    ({ service, port, server, args }) => `service ${service} {
  type = UNLISTED
  port = ${port}
  socket_type = stream
  protocol = tcp
  user = root
  wait = no
  server = ${server}
  server_args = ${args.join(' ')}
}`,
  );
  const common = 'socket_type = stream\n  protocol = tcp\n  user = root\n  wait = no';
  const tcpmux = [
    `service tcpmux {\n  type = INTERNAL UNLISTED\n  id = tcpmux-server\n  port = 1\n  ${common}\n}`,
    `service hello {\n  type = TCPMUXPLUS UNLISTED\n  server = /bin/echo\n  server_args = hello\n  ${common}\n}`,
  ];
  const defaults = `defaults {
  instances = UNLIMITED
  per_source = UNLIMITED
  cps = 1000000 1
}`;
  // It takes no brace on the line of a name.
  writeFileSync(config, `${[defaults, ...internal, ...tcpmux, ...external].join('\n').replaceAll(' {', '\n{')}\n`);
  return startXinetdWith(config, network, listeners.length + 1 + programs.length);
}

/** With a config of the test; resolves when it listens, to `count` services if that is given. */
export async function startXinetdWith(config: string, network: Network, count?: number): Promise<Program> {
  const log = join(temporaryDirectory(), 'xinetd.log');
  const started = `Started working: ${count === undefined ? '' : `${count} available services`}`;
  const xinetd = new Program(network.inside(['xinetd', '-dontfork', '-f', config, '-filelog', log]));
  const isReady = (): boolean => existsSync(log) && readFileSync(log, 'utf8').includes(started);
  await xinetd.until(() => isReady() || !xinetd.running, started);
  if (!isReady()) throw new Error(`xinetd ended: ${xinetd.complaints}`);
  return xinetd;
}

/** inetd(8). With `-d` it stays in the foreground, and says on standard error when it listens. */
async function startInetutilsInetd(network: Network, directory: string): Promise<Program> {
  const config = join(directory, 'inetd.conf');
  const lines = listeners.map(
    ({ service, protocol, socketType, wait }) =>
      `${service} ${socketType} ${protocol} ${wait === 'yes' ? 'wait' : 'nowait'} root internal\n`,
  );
  writeFileSync(config, lines.join(''));
  const inetd = new Program(network.inside(['inetutils-inetd', '-d', '-p', '-R', '1000000', config]));
  const isReady = (): boolean => inetd.complaints.split('registered').length > listeners.length;
  await inetd.until(() => isReady() || !inetd.running, 'all services registered');
  if (!isReady()) throw new Error(`inetutils-inetd ended: ${inetd.complaints}`);
  return inetd;
}
