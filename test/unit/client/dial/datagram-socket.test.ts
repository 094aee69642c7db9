import { describe, expect, onTestFinished, test } from 'vitest';
import { DatagramSocket } from '../../../../src/client/dial/datagram-socket.ts';
import { SharedPorts } from '../../../../src/client/dial/shared-ports.ts';
import { SmallservdError } from '../../../../src/errors.ts';
import { hasSockets } from '../../../../src/kernel/sockets.ts';
import { hasIpv6 } from '../../../support/daemon.ts';
import { fakeUdpServer } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { UdpClient } from '../../../support/udp.ts';
import { until } from '../../../support/wait.ts';

interface Opened {
  readonly socket: DatagramSocket;
  readonly heard: string[];
  readonly failures: SmallservdError[];
}

async function open(port: number, host = '127.0.0.1', localPort?: number, sharedPorts?: SharedPorts): Promise<Opened> {
  const heard: string[] = [];
  const failures: SmallservdError[] = [];
  const handlers = {
    datagram: (bytes: Uint8Array) => void heard.push(Buffer.from(bytes).toString()),
    failed: (error: SmallservdError) => void failures.push(error),
  };
  const socket = await DatagramSocket.open(
    { address: host, family: host.includes(':') ? 'ipv6' : 'ipv4' },
    port,
    handlers,
    { sourcePort: localPort },
    sharedPorts,
  );
  onTestFinished(() => socket.close());
  return { socket, heard, failures };
}

describe('DatagramSocket', () => {
  test.each(['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])('sends and receives over %s', async (host) => {
    const { port } = await fakeUdpServer((bytes, reply) => reply(`${String(bytes)} to you`), host);
    const { socket, heard } = await open(port, host);
    await socket.send(Buffer.from('hello'));
    await until(() => heard.length === 1, 'the answer');
    expect(heard).toEqual(['hello to you']);
    expect(socket.peer).toEqual({ address: host, port });
    expect(socket.local.address).toBe(host);
  });

  test('sends an empty datagram', async () => {
    const lengths: number[] = [];
    const { port } = await fakeUdpServer((bytes) => lengths.push(bytes.length));
    const { socket } = await open(port);
    await socket.send(Buffer.alloc(0));
    await until(() => lengths.length === 1, 'the datagram');
    expect(lengths).toEqual([0]);
  });

  test('receives only from its peer', async () => {
    const { port } = await fakeUdpServer((_bytes, reply) => reply('peer'));
    const { socket, heard } = await open(port);
    const stranger = await UdpClient.open('127.0.0.1');
    stranger.send('stranger', { host: '127.0.0.1', port: socket.local.port });
    await socket.send(Buffer.from('x'));
    await until(() => heard.length > 0, 'the answer');
    // The stranger's came first, had it come.
    expect(heard).toEqual(['peer']);
  });

  test.runIf(hasSockets)('shares its port with sockets of its own run only', async () => {
    const [one, two, localPort] = [await freePort(), await freePort(), await freePort()];
    const [run, other] = [new SharedPorts(), new SharedPorts()];
    const sockets = [await open(one, '127.0.0.1', localPort, run), await open(two, '127.0.0.1', localPort, run)];
    sockets[0]?.socket.close();
    await expect(open(one, '127.0.0.1', localPort, other)).rejects.toMatchObject({ cause: { code: 'EADDRINUSE' } });
    sockets[1]?.socket.close();
    await open(one, '127.0.0.1', localPort, other);
    await expect(open(two, '127.0.0.1', localPort, run)).rejects.toMatchObject({ cause: { code: 'EADDRINUSE' } });
  });

  test('reports a closed port', async () => {
    const port = await freePort();
    const { socket, failures } = await open(port);
    await socket.send(Buffer.from('x'));
    await until(() => failures.length > 0, 'the ICMP error');
    expect(failures[0]).toMatchObject({
      code: 'CONNECT_FAILED',
      exitCode: 2,
      message: `cannot reach 127.0.0.1:${port} over UDP: refused by 127.0.0.1 (port unreachable)`,
    });
  });

  test('reports the error of an earlier datagram, and sends the next nevertheless', async () => {
    const port = await freePort();
    const { socket, heard, failures } = await open(port);
    await socket.send(Buffer.from('lost'));
    // Loopback answers before the call returns: the error is there when the next datagram is sent.
    await fakeUdpServer((bytes, reply) => reply(bytes), '127.0.0.1', port);
    await socket.send(Buffer.from('kept'));
    await until(() => heard.length === 1, 'the answer');
    expect(heard).toEqual(['kept']);
    expect(failures.map(({ outcome }) => outcome)).toEqual(['refused']);
  });

  test('reports a datagram that is too large', async () => {
    const { port } = await fakeUdpServer(() => {});
    const { socket } = await open(port);
    const message = `cannot reach 127.0.0.1:${port} over UDP: the datagram is too large`;
    await expect(socket.send(Buffer.alloc(65_508))).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      outcome: 'too-big',
      message,
    });
  });

  test('sends from the requested local port', async () => {
    const { port } = await fakeUdpServer(() => {});
    const localPort = await freePort();
    const { socket } = await open(port, '127.0.0.1', localPort);
    expect(socket.local.port).toBe(localPort);
  });

  test('fails to open if the local port is in use', async () => {
    const taken = await takeUdpPort();
    // A bind to all addresses finds the taken one.
    const message = 'cannot send to 127.0.0.1:7: the local port is in use';
    await expect(open(7, '127.0.0.1', taken)).rejects.toMatchObject({ code: 'CONNECT_FAILED', message });
  });

  test('can be closed twice', async () => {
    const { port } = await fakeUdpServer(() => {});
    const { socket } = await open(port);
    socket.close();
    expect(() => socket.close()).not.toThrow();
  });
});
