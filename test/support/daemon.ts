import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { hasSockets } from '../../src/kernel/sockets.ts';
import { type Config, type Daemon, startDaemon } from '../../src/index.ts';
import { until } from './wait.ts';

/** A log line as it was written. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly msg: string };

/** The lines that a daemon has written. */
export class LogLines {
  readonly lines: LogLine[] = [];

  write(line: string): void {
    this.lines.push(JSON.parse(line) as LogLine);
  }

  /** The lines that say `closed`, of one client if its name is given. */
  closed(peer?: string): readonly LogLine[] {
    return this.lines.filter((line) => line.msg === 'closed' && (peer === undefined || line['peer'] === peer));
  }

  /** Waits for a client's closing line. */
  async closing(peer?: string): Promise<LogLine> {
    await until(() => this.closed(peer).length > 0, `the closing line of ${peer ?? 'a client'}`);
    return this.closed(peer)[0] as LogLine;
  }

  /** What the summaries count, added up. */
  summed(field: 'refused' | 'dropped' | 'wouldRefuse' | 'wouldDrop'): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const line of this.lines) {
      const counts = line[field] ?? {};
      for (const [reason, count] of Object.entries(counts)) sums[reason] = (sums[reason] ?? 0) + Number(count);
    }
    return sums;
  }
}

export interface TestDaemon extends Daemon {
  readonly log: LogLines;
  /** Where a service listens; the IPv4 address unless the other is asked for. */
  target(service: string, transport: 'tcp' | 'udp', host?: string): { readonly host: string; readonly port: number };
}

/** Relative modules in a config are taken from here. */
const serviceFixtures: string = fileURLToPath(new URL('services/', import.meta.url));

/** Whether this machine has IPv6 on its loopback. */
export const hasIpv6: boolean = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .some(({ address }) => address === '::1');

let sockets: 'auto' | 'kernel' | 'node' = 'auto';

/** Whether the sockets of this test file tell TTL and DSCP, which those of Node do not. */
export function tellsHeaders(): boolean {
  return sockets !== 'node' && hasSockets;
}

/** Chooses the sockets of the daemons of this test file, unless they choose themselves. */
export function useSockets(kind: typeof sockets): void {
  sockets = kind;
}

export function usesNodeSockets(): boolean {
  return sockets === 'node';
}

/** Starts a daemon with these services; it is closed, clients and all, when the test is over. */
export async function serve(services: object, rest: object = {}): Promise<TestDaemon> {
  const log = new LogLines();
  const config = { sockets, ...rest, services } as Config;
  const daemon = await startDaemon(config, { log, directory: serviceFixtures });
  onTestFinished(() => daemon.close(0));
  const target: TestDaemon['target'] = (service, transport, host = '127.0.0.1') =>
    targetOf(daemon, service, transport, host);
  return Object.assign(daemon, { log, target });
}

/** Where a service of the daemon is bound. */
function targetOf(
  { listeners }: Daemon,
  service: string,
  transport: 'tcp' | 'udp',
  host: string,
): { readonly host: string; readonly port: number } {
  const found = listeners.find(
    (each) => each.service === service && each.transport === transport && each.address === host,
  );
  if (found === undefined) throw new Error(`${service} does not listen on ${transport} ${host}`);
  return { host, port: found.port };
}
