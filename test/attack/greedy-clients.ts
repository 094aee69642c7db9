/**
 * Attack 6, of a worker: clients that echo at full speed, and a flood that nobody answers, while another client wants
 * its small answers.
 */
import type { LoadResult } from '../../src/client/index.ts';
import { writeConfig } from '../support/daemon-process.ts';
import { clientProgram, Network } from '../system/machine.ts';
import { DaemonProgram, Program } from '../system/program.ts';
import { holds } from './figures.ts';
import { PacketProgram } from './packets.ts';
import { isNode, sockets } from './sockets.ts';

const attack = 6;
const echoPort = 7007;
const discardPort = 7009;
const greedyClients = 20;
/** Of each request of a greedy client, in bytes. */
const greedyBytes = 65_536;
/** Node's sockets read fewer. */
const floodRate = isNode ? 20_000 : 50_000;
const seconds = isNode ? 5 : 8;
const questionsPerSecond = 100;
/** The flood begins before, and ends after. */
const marginSeconds = 4;
/** Node reads up to 32 times from one socket before it turns to the next. */
const mostMs = isNode ? 100 : 10;

/** All of them meet in one worker. */
export async function echoGreedily(): Promise<void> {
  const packets = PacketProgram.compile();
  const network = Network.make({ ipv6: false });
  const outOfReach = 1_000_000_000;
  const config = writeConfig({
    workers: 1,
    sockets,
    log: { connections: 'off' },
    defaults: {
      exempt: ['127.0.0.0/8'],
      maxConnectionsPerSource: 1000,
      datagramRate: { perSecond: outOfReach, burst: outOfReach },
      datagramServiceRate: { perSecond: outOfReach, burst: outOfReach },
    },
    services: {
      echo: { listen: [`tcp://127.0.0.1:${echoPort}`] },
      discard: { listen: [`udp://127.0.0.1:${discardPort}`] },
    },
  });
  const daemon = new DaemonProgram(['--config', config], (argv) => network.inside(argv));
  await daemon.ready();
  const load = (niceness: number, ...options: readonly string[]): Program => {
    const argv = [...clientProgram, 'load', `127.0.0.1:${echoPort}`, ...options, '--json'];
    return new Program(network.inside(['nice', '-n', String(niceness), ...argv]));
  };

  const flood = packets.send(network, {
    to: '127.0.0.1',
    port: discardPort,
    from: '127.0.0.9',
    sourcePort: 45_678,
    length: 64,
    rate: floodRate,
    count: floodRate * (seconds + marginSeconds),
  });
  const duration = ['--duration', `${seconds + marginSeconds}s`];
  const greedy = load(0, '--connections', String(greedyClients), '--size', String(greedyBytes), ...duration);
  // Measured are the answers, not how long the client waits for a processor that the others have.
  const honest = load(-15, '--connections', '1', '--rate', String(questionsPerSecond), '--duration', `${seconds}s`);
  await honest.end((seconds + marginSeconds) * 4000);
  const { failed, serviceTime } = JSON.parse(honest.output) as LoadResult;
  await greedy.end();
  await flood;
  const what = `echo, next to ${greedyClients} clients at full speed and ${floodRate.toLocaleString('en')} datagrams/s`;
  holds(attack, `${what}: failed requests of another client`, failed, { atMost: 0 });
  holds(attack, `${what}: the p99 of its answers`, serviceTime?.p99Ms ?? Infinity, {
    atMost: mostMs,
    unit: ' ms',
    digits: 1,
    isTime: true,
  });
}
