import { expect, it } from 'vitest';
import { type LogLine, serve } from '../../../support/daemon.ts';
import { TcpClient } from '../../../support/tcp.ts';

/** The closing line of a client. */
async function closing(listen: string, log: object, sockets = 'kernel'): Promise<LogLine> {
  const daemon = await serve({ echo: { listen: [listen] } }, { sockets, log });
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  client.finish('x');
  await client.takeAll();
  return daemon.log.closing();
}

it.each(['info', 'debug'])('is in the closing line at level debug, with log.connections %s', async (connections) => {
  const line = await closing('tcp://127.0.0.1:0', { level: 'debug', connections });
  expect(line).toMatchObject({ level: connections, rttMs: expect.any(Number) as number, retransmits: 0 });
});

it.each([
  ['kernel', 'info'],
  ['node', 'debug'],
])('is missing over sockets of %s at level %s', async (sockets, level) => {
  const line = await closing('tcp://127.0.0.1:0', { level }, sockets);
  expect([line['rttMs'], line['retransmits']]).toEqual([undefined, undefined]);
});
