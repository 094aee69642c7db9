import { expect, it } from 'vitest';
import { Inbox } from '../../../../src/client/conformance/datagrams.ts';
import { runChecks } from '../../../../src/client/conformance/run.ts';
import { fakeUdpServer } from '../../../support/fake-servers.ts';

it('stops collecting the replies of a flood that never ends', async () => {
  let isOver = false;
  const { port } = await fakeUdpServer((_request, reply) => {
    const flood = (): void => {
      if (isOver) return;
      for (let count = 0; count < 10; count += 1) reply('flood');
      setImmediate(flood);
    };
    flood();
  });
  const id = 'echo.udp.flood';
  const run = async (context: Parameters<typeof Inbox.open>[0]): Promise<string> =>
    Inbox.with(context, async (inbox) => {
      await inbox.send(Buffer.from('x'));
      const { length } = await inbox.quiet();
      return String(length);
    }).finally(() => {
      isOver = true;
    });
  const check = { id, service: 'echo', transport: 'udp', basis: 'RFC 862', fact: 'a flood ends', run } as const;
  const options = { timeoutMs: 5000, quietMs: 1000, dangerousPorts: { low: [], reflectors: [] }, portOf: () => port };
  expect(await runChecks('127.0.0.1', [check], options)).toMatchObject([{ outcome: 'passed', detail: '200' }]);
});
