/** Attack 5: the smallest and the largest datagrams that there are. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DaemonProcess, inOneProcess } from '../support/daemon-process.ts';
import { askProbe, heldBytes, probeModule } from './probe.ts';
import { sockets } from './sockets.ts';

const execute = promisify(execFile);

/** No payload, the least, and the most that IPv4 carries. */
export const sizes = [0, 1, 65_507] as const;

/** Services that owe every datagram an answer. */
export const answeringServices = ['echo', 'systat', 'daytime', 'qotd', 'chargen', 'time'] as const;

const asker = fileURLToPath(new URL('fixtures/asker.js', import.meta.url));

const patienceMs = 60_000;

export interface Question {
  readonly host: string;
  readonly port: number;
  /** Datagrams of each size. */
  readonly count: number;
  /** What the asker is run in: `ip netns exec …`. */
  readonly around?: (argv: readonly string[]) => readonly string[];
}

/** The share of the datagrams that were answered, in percent, for each of `sizes`. A few at a time are under way. */
export async function answeredShares({
  host,
  port,
  count,
  around = (argv) => argv,
}: Question): Promise<readonly number[]> {
  const argv = around([process.execPath, asker, host, String(port), String(count), ...sizes.map(String)]);
  const [command = '', ...args] = argv;
  const { stdout } = await execute(command, args, { timeout: patienceMs });
  const shares = stdout
    .trim()
    .split('\n')
    .map((answered) => (Number(answered) / count) * 100);
  if (shares.length !== sizes.length) throw new Error(`the asker said: ${stdout}`);
  return shares;
}

const outOfReach = { perSecond: 10_000_000, burst: 10_000_000 };

/** For the config of a daemon: all that answers, with rates that no test reaches. */
export const answeringDefaults = { exempt: [], datagramRate: outOfReach, datagramServiceRate: outOfReach } as const;

export interface Growth {
  /** In percent, the least of all services and sizes. */
  readonly answered: number;
  /** Of heap and external memory over so many of each, after a tenth as many for the start. */
  readonly grownBytes: number;
}

/** Sends so many datagrams of each size to each service, over loopback. */
export async function sendSizes(countOfEach: number): Promise<Growth> {
  const listen = ['udp4://127.0.0.1:0'];
  const daemon = await DaemonProcess.serve({
    ...inOneProcess,
    sockets,
    log: { connections: 'off' },
    defaults: answeringDefaults,
    services: {
      ...Object.fromEntries(answeringServices.map((service) => [service, { listen }])),
      probe: { module: probeModule, listen: ['tcp4://127.0.0.1:0'] },
    },
  });
  const probe = daemon.target('probe', 'tcp');

  async function leastAnswered(count: number): Promise<number> {
    const shares = [];
    for (const service of answeringServices) {
      shares.push(...(await answeredShares({ ...daemon.target(service, 'udp'), count })));
    }
    return Math.min(...shares);
  }

  await leastAnswered(Math.ceil(countOfEach / 10));
  const before = heldBytes(await askProbe(probe));
  const answered = await leastAnswered(countOfEach);
  return { answered, grownBytes: heldBytes(await askProbe(probe)) - before };
}
