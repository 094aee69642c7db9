import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { type KernelSocket, kernelSockets } from '../../../support/kernel.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';

const listen = ['tcp://127.0.0.1:0'];

/** The kernel's view of the daemon's end of a connection, when no retransmission is due any more. */
async function serverSide(daemon: TestDaemon, client: TcpClient): Promise<KernelSocket> {
  const { port } = daemon.target('echo', 'tcp');
  const find = (): KernelSocket | undefined =>
    kernelSockets(port).find((each) => each.localPort === port && each.remotePort === client.socket.localPort);
  await until(() => find() !== undefined && find()?.timer !== 'other', 'the timer of a socket that rests');
  return find() as KernelSocket;
}

async function echoOnce(daemon: TestDaemon): Promise<TcpClient> {
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  client.write('x');
  await client.take(1);
  return client;
}

describe.each(['kernel', 'node'])('keepAlive over sockets of %s, observed in /proc/net/tcp', (kind) => {
  it('passes the delay to the kernel', async () => {
    // Longer than the kernel's own default, which is two hours.
    const daemon = await serve({ echo: { listen, keepAlive: { enabled: true, delay: '5h' } } }, { sockets: kind });
    const socket = await serverSide(daemon, await echoOnce(daemon));
    expect(socket.timer).toBe('keepalive');
    expect(socket.timerSeconds).toBeGreaterThan(2 * 3600);
    expect(socket.timerSeconds).toBeLessThanOrEqual(5 * 3600);
  });

  it('is on by default, with a delay of 60 s', async () => {
    const daemon = await serve({ echo: { listen } }, { sockets: kind });
    const socket = await serverSide(daemon, await echoOnce(daemon));
    expect(socket.timer).toBe('keepalive');
    expect(socket.timerSeconds).toBeLessThanOrEqual(60);
  });

  it('can be turned off', async () => {
    const daemon = await serve({ echo: { listen, keepAlive: { enabled: false } } }, { sockets: kind });
    const socket = await serverSide(daemon, await echoOnce(daemon));
    expect(socket.timer).toBe('none');
  });
});

/** Node's own wrapper of the kernel's socket: nothing else shows TCP_NODELAY, as there is no getsockopt in Node. */
interface TcpHandle {
  setNoDelay(on: boolean): number;
}

function handleOf(socket: Socket): TcpHandle {
  return (socket as unknown as { _handle: TcpHandle })._handle;
}

describe('noDelay over sockets of Node, observed as the setsockopt(2) call and its result', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    ['is on by default', {}, [[true]], [0]],
    ['can be turned off', { noDelay: false }, [], []],
  ])('%s', async (_rule, config, calls, results) => {
    const daemon = await serve({ echo: { listen, ...config } }, { sockets: 'node' });
    const probe = await echoOnce(daemon);
    const spy = vi.spyOn(Object.getPrototypeOf(handleOf(probe.socket)) as TcpHandle, 'setNoDelay');
    await echoOnce(daemon);
    expect(spy.mock.calls).toEqual(calls);
    expect(spy.mock.results.map(({ value }) => value as unknown)).toEqual(results);
  });
});

describe.each(['kernel', 'node'])(
  'backlog over sockets of %s, observed as connections waiting for accept(2) in /proc/net/tcp',
  (kind) => {
    const clients = 8;

    it.each([
      // tcp(7): the kernel holds one more than the backlog.
      [2, 3],
      [511, clients],
    ])('with backlog %i, queues %i of 8 unaccepted connections', async (backlog, waiting) => {
      const daemon = await serve({ echo: { listen, backlog } }, { sockets: kind });
      const { host, port } = daemon.target('echo', 'tcp');
      const sockets = Array.from({ length: clients }, () => connect({ host, port }).on('error', () => {}));
      onTestFinished(() => {
        for (const socket of sockets) socket.destroy();
      });
      // Node connects in this turn's ticks; until this function gives the turn up, nobody accepts.
      const counts = await new Promise<{ ready: number; unanswered: number }>((resolve) => {
        process.nextTick(() => resolve(whenSettled(port)));
      });
      expect(counts).toEqual({ ready: waiting, unanswered: clients - waiting });
    });

    /** Looks, without giving up the turn, until every client's connection is either ready or has been passed over. */
    function whenSettled(port: number): { ready: number; unanswered: number } {
      const endMs = performance.now() + 5000;
      for (;;) {
        const sockets = kernelSockets(port);
        const ready = sockets.find((each) => each.localPort === port && each.state === 'listen')?.receiveQueue ?? 0;
        const unanswered = sockets.filter((each) => each.remotePort === port && each.state === 'syn-sent').length;
        if (ready + unanswered === clients || performance.now() > endMs) return { ready, unanswered };
      }
    }
  },
);
