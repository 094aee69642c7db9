import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { until } from './wait.ts';

export interface UdpTarget {
  readonly host: string;
  readonly port: number;
}

export interface Reply {
  readonly bytes: Buffer;
  readonly from: UdpTarget;
}

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1']);

async function bound(host: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1024 * 1024 });
  socket.bind(port, host);
  try {
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

/**
 * The system may give out a port that a daemon of this test serves in the other family, and a daemon answers none of
 * its own ports. So the client has its port in both families.
 */
async function openOnLoopback(host: string): Promise<Socket> {
  for (;;) {
    const socket = await bound(host, 0);
    try {
      const twin = await bound(host === '::1' ? '127.0.0.1' : '::1', socket.address().port);
      onTestFinished(() => void twin.close());
      return socket;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return socket;
      socket.close();
    }
  }
}

/** A datagram client on an ephemeral port: what was sent to it, by whom, in order. It is gone when the test is over. */
export class UdpClient {
  readonly replies: Reply[] = [];
  readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (bytes, { address, port }) => this.replies.push({ bytes, from: { host: address, port } }));
    onTestFinished(() => {
      socket.close();
    });
  }

  static async open(
    host: string,
    options: { readonly broadcast?: boolean; readonly port?: number } = {},
  ): Promise<UdpClient> {
    const socket =
      options.port === undefined && loopback.has(host)
        ? await openOnLoopback(host)
        : await bound(host, options.port ?? 0);
    socket.setBroadcast(options.broadcast ?? false);
    return new UdpClient(socket);
  }

  get port(): number {
    return this.socket.address().port;
  }

  send(bytes: Uint8Array | string, { host, port }: UdpTarget): void {
    this.socket.send(bytes, port, host);
  }

  /** Waits for so many replies in all, and gives their bytes in order. */
  async take(count: number): Promise<readonly Buffer[]> {
    await until(() => this.replies.length >= count, `${count} datagrams`);
    return this.replies.map(({ bytes }) => bytes);
  }

  /** Sends a request and waits for the one reply to it. */
  async ask(bytes: Uint8Array | string, target: UdpTarget): Promise<Buffer> {
    const before = this.replies.length;
    this.send(bytes, target);
    const replies = await this.take(before + 1);
    return replies[before] as Buffer;
  }
}
