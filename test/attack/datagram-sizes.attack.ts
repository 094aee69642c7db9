import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { startInetd } from '../system/inetds.ts';
import { needs, temporaryDirectory } from '../system/machine.ts';
import { DaemonProgram } from '../system/program.ts';
import { comparedInetds } from './compared-inetds.ts';
import { answeredShares, answeringDefaults, answeringServices, sendSizes, sizes } from './datagram-sizes.ts';
import { compare, holds } from './figures.ts';
import { Forger, serverAddress } from './forger.ts';
import { servicePorts } from './reflection.ts';
import { sockets } from './sockets.ts';

needs('ip', 'xinetd', 'inetutils-inetd');

const all = { atLeast: 100, atMost: 100, unit: '%' };
const countOfEach = 1000;
const countOverCable = 100;

function whatOf(services: string, size: number): string {
  const bytes = size === 1 ? '1 byte' : `${size.toLocaleString('en')} bytes`;
  return `${services}, datagrams of ${bytes} over a link with an MTU of 1,500: answered`;
}

describe('datagrams of every size', () => {
  test('leak no memory', async () => {
    const { answered, grownBytes } = await sendSizes(countOfEach);
    holds(5, '1,000 datagrams of 0, 1 and 65,507 bytes each to six services over loopback: answered', answered, all);
    const bound = { atMost: 1, digits: 2, unit: ' MiB' };
    holds(5, 'growth of heap and external memory over these 18,000 datagrams', grownBytes / 2 ** 20, bound);
  });

  test('are answered when they arrive in fragments', async () => {
    const forger = new Forger();
    const config = join(temporaryDirectory(), 'smallservd.yaml');
    const services = Object.fromEntries(
      Object.entries(servicePorts).map(([name, port]) => [name, { listen: [`udp4://${serverAddress}:${port}`] }]),
    );
    writeFileSync(config, JSON.stringify({ sockets, defaults: answeringDefaults, services }));
    await new DaemonProgram(['--config', config], (argv) => forger.server.inside(argv)).ready();
    const echoed = await overCable(forger, 'echo');
    const others = [];
    for (const service of answeringServices.slice(1)) others.push(await overCable(forger, service));
    for (const [index, size] of sizes.entries()) {
      const least = Math.min(...others.map((shares) => shares[index] ?? 0));
      holds(5, whatOf('echo', size), echoed[index] ?? 0, all);
      holds(5, whatOf('each of the other five services', size), least, all);
    }
  });

  test.each(comparedInetds)('are answered by %s, for comparison', async (inetd) => {
    const forger = new Forger();
    await startInetd(inetd, forger.server);
    const echoed = await overCable(forger, 'echo');
    for (const [index, size] of sizes.entries()) compare(inetd, 5, whatOf('echo', size), echoed[index] ?? 0, all);
  });
});

/** For each of the sizes. */
async function overCable(forger: Forger, service: keyof typeof servicePorts): Promise<readonly number[]> {
  const around = (argv: readonly string[]): readonly string[] => forger.network.inside(argv);
  return await answeredShares({ host: serverAddress, port: servicePorts[service], count: countOverCable, around });
}
