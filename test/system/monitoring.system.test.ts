/** What monitoring programs read: the lines of the real fping, and what SmokePing makes of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, run } from './program.ts';
import { type Ended, smallserv } from './routed-path.ts';

needs('ip', 'fping');

/** A machine with an echo service that answers, and one that does not. */
async function makeMachine(): Promise<Network> {
  const machine = Network.make();
  // Nobody is there, but there is a route.
  const silentHost = Network.make();
  machine.join(silentHost, ['198.51.100.2/24'], []);
  const config = join(temporaryDirectory(), 'smallservd.yaml');
  const listen = ['udp://127.0.0.1:1201'];
  const silent = { type: 'echo', listen: ['udp://127.0.0.3:1201'], faults: { loss: 1 } };
  writeFileSync(config, JSON.stringify({ workers: 0, services: { echo: { listen }, silent } }));
  await new DaemonProgram(['--config', config], (argv) => machine.inside(argv)).ready();
  return machine;
}

async function fping(network: Network, ...args: readonly string[]): Promise<Ended> {
  const { ended, output, complaints } = await run(network.inside(['fping', ...args]));
  return { code: (await ended).code, output, complaints };
}

/** Lines without what differs between any two runs: names, sizes and times. */
function shapeOf(text: string): readonly string[] {
  const shape = text
    .replaceAll(/^\S+ +: /gm, 'HOST : ')
    .replaceAll(/\d+ bytes/g, 'SIZE bytes')
    .replaceAll(/\b\d+\.\d+\b|\b\d+(?= ms| avg)/g, 'TIME');
  return shape.split('\n').toSorted();
}

it('echo --format fping has the lines of fping -C', async () => {
  const machine = await makeMachine();
  const [real, own] = await Promise.all([
    fping(machine, '-C', '3', '-p', '50', '-t', '2000', '127.0.0.1'),
    smallserv(machine, 'echo', '-u', '--format', 'fping', '-c', '3', '-i', '0.05', '-W', '2', '127.0.0.1:1201'),
  ]);
  expect([shapeOf(own.output), shapeOf(own.complaints)]).toEqual([shapeOf(real.output), shapeOf(real.complaints)]);
  const quiet = ['-u', '--format', 'fping', '-q', '-c', '2', '-i', '0.05', '-W', '1'];
  const [realLoss, ownLoss] = await Promise.all([
    fping(machine, '-C', '2', '-q', '-p', '50', '-t', '1000', '127.0.0.1', '198.51.100.1'),
    smallserv(machine, 'echo', ...quiet, '127.0.0.1:1201', '127.0.0.3:1201'),
  ]);
  expect([realLoss.code, ownLoss.code]).toEqual([1, 1]);
  expect(shapeOf(ownLoss.complaints)).toEqual(shapeOf(realLoss.complaints));
});

it('SmokePing reads echo --format smokeping', async () => {
  const machine = await makeMachine();
  const targets = ['127.0.0.1:1201', '127.0.0.3:1201'];
  const args = ['-u', '--format', 'smokeping', '-c', '3', '-i', '0.05', '-W', '1'];
  const { output } = await smallserv(machine, 'echo', ...args, ...targets);
  // As in the ping method of Smokeping::probes::FPing.
  const rtts = new Map(
    output.split('\n').flatMap((line) => {
      if (!/^\S+\s+:\s+[-\d.]/.test(line)) return [];
      const [ip = '', colon, ...times] = line.split(/\s+/);
      return colon === ':' ? [[ip, times.filter((each) => /^\d/.test(each)).map(Number)] as const] : [];
    }),
  );
  expect([...rtts.keys()].toSorted()).toEqual(targets);
  expect(rtts.get('127.0.0.1:1201')).toHaveLength(3);
  expect(rtts.get('127.0.0.3:1201')).toEqual([]);
});
