import { expect, onTestFinished, test } from 'vitest';
import { NodeDatagrams } from '../../../../src/client/dial/node-datagrams.ts';
import { fakeUdpServer } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { until } from '../../../support/wait.ts';

const local = { address: '127.0.0.1', family: 'ipv4' } as const;

async function open(port: number): Promise<{ carrier: NodeDatagrams; heard: string[]; failures: Error[] }> {
  const [heard, failures]: [string[], Error[]] = [[], []];
  const carrier = await NodeDatagrams.open(
    local,
    port,
    {},
    {
      datagram: (bytes) => heard.push(Buffer.from(bytes).toString()),
      failed: (error) => failures.push(error),
    },
  );
  onTestFinished(() => carrier.close());
  return { carrier, heard, failures };
}

test('sends and receives', async () => {
  const { port } = await fakeUdpServer((bytes, reply) => reply(bytes));
  const { carrier, heard } = await open(port);
  const errors: (Error | null)[] = [];
  carrier.send(Buffer.from('hello'), (error) => errors.push(error));
  await until(() => heard.length === 1, 'the answer');
  expect([heard, errors]).toEqual([['hello'], [null]]);
  expect(carrier.local.address).toBe('127.0.0.1');
});

test('reports a closed port', async () => {
  const { carrier, failures } = await open(await freePort());
  carrier.send(Buffer.from('x'), () => {});
  await until(() => failures.length === 1, 'the error');
  expect(failures[0]).toMatchObject({ code: 'ECONNREFUSED' });
});

test('fails to open if the local port is in use', async () => {
  const taken = await takeUdpPort();
  const events = { datagram: () => {}, failed: () => {} };
  await expect(NodeDatagrams.open(local, 7, { sourcePort: taken }, events)).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});

test('shares its local port with a socket to another peer', async () => {
  const path = { sourcePort: await freePort() };
  const servers = [await fakeUdpServer((_, reply) => reply('one')), await fakeUdpServer((_, reply) => reply('two'))];
  const heard: string[][] = [[], []];
  for (const [index, { port }] of servers.entries()) {
    const events = { datagram: (bytes: Uint8Array) => heard[index]?.push(String(bytes)), failed: () => {} };
    const carrier = await NodeDatagrams.open(local, port, path, events, true);
    onTestFinished(() => carrier.close());
    carrier.send(Buffer.from('x'), () => {});
  }
  await until(() => heard.flat().length === 2, 'both answers');
  expect(heard).toEqual([['one'], ['two']]);
});
