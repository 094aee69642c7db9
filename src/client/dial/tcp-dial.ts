import { closeSync } from 'node:fs';
import { Socket, type TcpSocketConnectOpts } from 'node:net';
import type { Cancel } from '../../clock/clock.ts';
import { errorQueue } from '../../kernel/error-queue.ts';
import { queueErrors, startTcp } from '../../kernel/outgoing-sockets.ts';
import { readiness, type Watcher, writable } from '../../kernel/readiness.ts';
import { hasSockets } from '../../kernel/sockets.ts';
import { streams } from '../../kernel/streams.ts';
import { systemError } from '../../kernel/system-error.ts';
import { IcmpError } from './icmp-error.ts';
import { inetAddress } from './inet-address.ts';
import { outgoingOptions, type PathControls } from './path-controls.ts';
import type { HostAddress } from './resolve-host.ts';

export interface DialEvents {
  /** The socket allows half-open connections, does not delay small segments, and has no listeners. */
  connected(socket: Socket): void;
  failed(error: Error): void;
}

/**
 * Starts one attempt to connect, without a timeout. Exactly one event follows, not before the next turn, unless the
 * returned function is called first: it gives the attempt up.
 */
export function dialTcp(address: HostAddress, port: number, path: PathControls, events: DialEvents): Cancel {
  return (hasSockets ? dialWithKernel : dialWithNode)(address, port, path, events);
}

/** The kernel queues the ICMP message that ends an attempt, which tells a firewall from a closed port. */
export function dialWithKernel(...[address, port, path, events]: Parameters<typeof dialTcp>): Cancel {
  try {
    return startAttempt(address, port, path, events);
  } catch (error) {
    const turn = setImmediate(() => events.failed(error as Error));
    return () => clearImmediate(turn);
  }
}

/** Throws an error with the system's code. */
function startAttempt(...[address, port, path, events]: Parameters<typeof dialTcp>): Cancel {
  const descriptor = startTcp(inetAddress(address, port), outgoingOptions(path, address.family));
  let isOver = false;
  const end = (): void => {
    isOver = true;
    readiness().unwatch(number, descriptor);
  };
  const watcher: Watcher = {
    ready() {
      end();
      const error = streams().takeError(descriptor);
      if (error === 0) {
        queueErrors(descriptor, address.family, false);
        const socket = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
        return events.connected(socket);
      }
      const report = errorQueue().take(descriptor);
      closeSync(descriptor);
      const isTold = report !== undefined && report.version !== 'local';
      events.failed(isTold ? new IcmpError(report) : systemError('connect', -error));
    },
  };
  let number: number;
  try {
    number = readiness().watch(descriptor, writable, watcher);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return () => {
    if (isOver) return;
    end();
    closeSync(descriptor);
  };
}

/** Where koffi is missing. Of the path, it knows the source port alone. */
export function dialWithNode(
  ...[address, port, { sourcePort: localPort }, events]: Parameters<typeof dialTcp>
): Cancel {
  const family = address.family === 'ipv6' ? 6 : 4;
  const options: TcpSocketConnectOpts = { host: address.address, port, family, noDelay: true };
  const socket = new Socket({ allowHalfOpen: true });
  const failed = (error: Error): void => events.failed(error);
  socket.once('error', failed);
  socket.once('connect', () => {
    // The caller owns the socket now and must not inherit this listener.
    socket.removeListener('error', failed);
    events.connected(socket);
  });
  socket.connect(localPort === undefined ? options : { ...options, localPort });
  return () =>
    void socket
      .removeListener('error', failed)
      .on('error', () => {})
      .destroy();
}
