import { describe, expect, it } from 'vitest';
import type { LoadResult, LoadService } from '../../src/client/index.ts';
import { startInetd } from './inetds.ts';
import { clientProgram, Network, needs } from './machine.ts';
import { run } from './program.ts';

needs('ip', 'xinetd', 'inetutils-inetd');

/** `smallserv load 127.0.0.1 --json` in the network, which must end as the result says. */
async function load(network: Network, ...options: readonly string[]): Promise<LoadResult> {
  const smallserv = await run(network.inside([...clientProgram, 'load', '127.0.0.1', '--json', ...options]));
  expect(smallserv.complaints).toBe('');
  const result = JSON.parse(smallserv.output) as LoadResult;
  expect((await smallserv.end()).code, smallserv.output).toBe(result.failed === 0 ? 0 : 1);
  return result;
}

const services: readonly LoadService[] = ['echo', 'daytime', 'time'];

describe.each(['xinetd', 'inetutils-inetd'] as const)('smallserv load against %s', (name) => {
  it('gets every request answered over TCP on the default port of the service', async () => {
    const network = Network.make();
    await startInetd(name, network);
    for (const service of services) {
      const result = await load(network, '--service', service, '--connections', '4', '--requests', '40');
      expect(result).toMatchObject({ service, protocol: 'tcp', answered: 40, failed: 0 });
    }
  });

  it('counts every datagram as answered or lost', async () => {
    const network = Network.make();
    await startInetd(name, network);
    for (const service of services) {
      const options = ['--udp', '--service', service, '--requests', '40', '--rate', '200', '--timeout', '1s'];
      const { answered, failed, errors, unfinished } = await load(network, ...options);
      expect({ sum: answered + failed, unfinished }).toEqual({ sum: 40, unfinished: 0 });
      expect(answered).toBeGreaterThan(0);
      // Xinetd throws away what comes while it answers.
      expect(errors).toEqual(failed === 0 ? {} : { lost: failed });
      if (name !== 'xinetd') expect(failed).toBe(0);
    }
  });

  // Each with an inetd of its own: that of GNU may leave clients unaccepted who come right after others have gone.
  it.each(['discard', 'chargen'] as const)('transfers data with %s', async (service) => {
    const network = Network.make();
    await startInetd(name, network);
    const result = await load(network, '--connections', '2', '--duration', '1s', '--service', service);
    expect(service === 'discard' ? result.bytesSent : result.bytesReceived).toBeGreaterThan(0);
  });
});
