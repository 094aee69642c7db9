import { expect, test } from 'vitest';
import { echoPing } from '../../../../src/client/echo-ping.ts';
import { load } from '../../../../src/client/load.ts';
import { serve } from '../../../support/daemon.ts';
import { fakeTcpServer, fakeUdpServer } from '../../../support/fake-servers.ts';

test.each([false, true])('requests take turns over the flows, each from its own port (udp: %s)', async (udp) => {
  const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { host, port } = daemon.target('echo', udp ? 'udp' : 'tcp');
  const result = await echoPing(`${host}:${port}`, { udp, count: 7, intervalMs: 1, flows: 3 });
  expect(result).toMatchObject({ sent: 7, received: 7, isRight: true });
  expect(result.flows?.map(({ sent, received, lost }) => [sent, received, lost])).toEqual([
    [3, 3, 0],
    [2, 2, 0],
    [2, 2, 0],
  ]);
  expect(new Set(result.flows?.map(({ sourcePort }) => sourcePort)).size).toBe(3);
});

test('what one flow loses, the others do not', async () => {
  let requests = 0;
  const { name } = await fakeUdpServer((request, reply) => {
    if (requests % 3 !== 0) reply(request);
    requests += 1;
  });
  const result = await echoPing(name, { udp: true, count: 6, intervalMs: 1, flows: 3, timeoutMs: 50 });
  expect(result.flows?.map(({ sent, lost }) => [sent, lost])).toEqual([
    [2, 2],
    [2, 0],
    [2, 0],
  ]);
  expect(result.outcome).toBe('timeout');
});

test('a connection that is closed leaves the other flows alone', async () => {
  let connections = 0;
  const { name } = await fakeTcpServer((client) => {
    connections += 1;
    if (connections === 1) client.once('data', () => client.end());
    else client.on('data', (bytes) => client.write(bytes));
  });
  const result = await echoPing(name, { count: 6, intervalMs: 20, flows: 2, timeoutMs: 200 });
  const problem = `${name} closed the connection`;
  expect(result).toMatchObject({ sent: 6, received: 3, outcome: 'reset', problem });
  const ends = new Map(result.flows?.map((flow) => [flow.received, flow.problem]));
  expect([ends.get(0), ends.get(3)]).toEqual([problem, undefined]);
});

test.each([false, true])('a load tells of each (udp: %s)', async (udp) => {
  const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { host, port } = daemon.target('echo', udp ? 'udp' : 'tcp');
  const { flows = [], answered } = await load(`${host}:${port}`, { udp, flows: 3, requests: 30 });
  expect(flows.map(({ failed }) => failed)).toEqual([0, 0, 0]);
  expect(flows.reduce((sum, flow) => sum + flow.answered, 0)).toBe(answered);
  expect(new Set(flows.map(({ sourcePort }) => sourcePort)).size).toBe(3);
});

test.each([
  [async () => echoPing('127.0.0.1:7', { flows: 0 }), 'the number of flows is 0: expected 1 to 256'],
  [async () => echoPing('127.0.0.1:7', { flows: 2, pathControls: { sourcePort: 65_535 } }), 'the last source port'],
  [async () => load('127.0.0.1:7', { flows: 257 }), 'the number of flows is 257: expected 1 to 256'],
  [async () => load('127.0.0.1:7', { flows: 2, service: 'daytime' }), 'no flows for daytime'],
  [async () => load('127.0.0.1:7', { flows: 2, connections: 2 }), 'flows take the place of connections'],
])('%s is an error', async (run, message) => {
  await expect(run()).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
    message: expect.stringContaining(message) as string,
  });
});
