import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { parseIp } from '../../address/ip-address.ts';
import { SubordinateIds } from '../../address/subordinate-ids.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { ProxyRules, StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from './socket-options.ts';
import type { ConnectionLog } from '../connection-log.ts';
import type { StreamCounters } from '../counters.ts';
import type { Admission, RefuseReason } from '../guard/admission.ts';
import { sweepPeriodMs } from '../guard/deadlines.ts';
import type { Source } from '../guard/source-prefix.ts';
import type { CloseReason, Service } from '../../service.ts';
import { ClientList } from './client-list.ts';
import { type BoundAddress, type Listener, listenOptions, type StreamTarget } from './listener.ts';
import { type Introduction, ProxyIntake, type ProxyIntakeEvents } from './proxy-intake.ts';
import { readPeerAddress, readPeerUser, type SocketAddress } from './socket-handle.ts';
import { type Proxied, StreamClient, type StreamClientEvents } from './stream-client.ts';
import { bindPrivately } from './unix-socket.ts';

export interface StreamListenerOptions {
  readonly target: StreamTarget;
  readonly service: Service;
  readonly limits: StreamLimits;
  /** TCP only. */
  readonly proxy: ProxyRules;
  readonly socket: SocketOptions;
  /** Shared by all stream listeners of the service. */
  readonly admission: Admission;
  readonly counters: StreamCounters;
  readonly connectionLog: ConnectionLog;
  readonly clock: Clock;
}

/**
 * Delay before discarding the input of a client that was answered immediately. Most such clients send nothing and are
 * gone by then, and reading from them would cost 6% of the daytime connection rate.
 */
const discardDelayMs = 10;

/** Reused for every client, and read immediately. */
const peer: SocketAddress = { address: '', port: 0 };

/** A TCP or UNIX listener and its clients. */
export class StreamListener implements Listener, StreamClientEvents, ProxyIntakeEvents {
  readonly #options: StreamListenerOptions;
  readonly #server: Server;
  readonly #clients = new ClientList();
  /** Undefined if clients connect directly, without a proxy. */
  readonly #intake: ProxyIntake | undefined;
  /** Undefined for TCP. */
  readonly #subordinateIds: SubordinateIds | undefined;
  /** Clients whose input will be discarded soon. */
  readonly #answered: StreamClient[] = [];
  /** The local address of all clients, or undefined for a wildcard. */
  #local: string | undefined;
  #cancelSweep: Cancel | undefined;
  #idle: (() => void)[] = [];

  constructor(options: StreamListenerOptions) {
    this.#options = options;
    const { target, proxy, admission, clock } = options;
    if (target.transport === 'tcp' && proxy.from.length > 0)
      this.#intake = new ProxyIntake({ rules: proxy, admission, clock, events: this });
    if (target.transport === 'unix') this.#subordinateIds = SubordinateIds.read();
    this.#server = createServer({
      // A client's FIN must not end our side.
      allowHalfOpen: true,
      // Report backpressure for anything that the kernel does not accept immediately, on every version of Node (whose
      // default is 16 or 64 KiB). A client that reads nothing then costs only the chunk being written, 64 KiB.
      highWaterMark: 0,
    });
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  async open(): Promise<BoundAddress> {
    const { target, socket, limits, clock } = this.#options;
    const listening = once(this.#server, 'listening');
    const listen = (): unknown => this.#server.listen({ ...listenOptions(target), backlog: socket.backlog });
    if ('access' in target) bindPrivately(listen);
    else listen();
    await listening;
    this.#server.on('error', (error) => this.#options.connectionLog.listenerFailed(error));
    const bound = boundAddress(this.#server, target);
    if (bound.transport === 'unix') this.#local = `unix:${bound.address}`;
    else if (bound.address !== '0.0.0.0' && bound.address !== '::')
      this.#local = formatHostPort(bound.address, bound.port);
    this.#cancelSweep = clock.every(sweepPeriodMs(limits), () => {
      const nowMs = clock.monotonicMs();
      this.#clients.each((client) => client.sweep(nowMs));
    });
    return bound;
  }

  suspend(): void {
    if (this.#server.listening) this.#server.close();
    this.#stopWhenIdle();
  }

  async drain(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  destroy(): void {
    this.#intake?.destroy();
    this.#clients.each((client) => client.destroy('shutdown'));
  }

  answered(client: StreamClient): void {
    if (this.#answered.length === 0)
      this.#options.clock.after(discardDelayMs, () => {
        for (const each of this.#answered.splice(0)) each.discardInput();
      });
    this.#answered.push(client);
  }

  closed(client: StreamClient, reason: CloseReason): void {
    const { admission, counters, connectionLog, clock } = this.#options;
    admission.release(client.place);
    this.#clients.remove(client);
    counters.active -= 1;
    counters.closed[reason] += 1;
    counters.bytesIn += client.received;
    counters.bytesOut += client.sent;
    connectionLog.closed(client, clock.monotonicMs(), reason);
    this.#stopWhenIdle();
  }

  failed(client: StreamClient, error: unknown): void {
    this.#options.connectionLog.serviceFailed(error, client);
  }

  /** A proxy has identified its client. `rest` is what the client has sent so far. */
  introduced(socket: Socket, { source, port, proxied, rest }: Introduction): void {
    const client = this.#admit(socket, source, port, proxied);
    if (client === undefined) return;
    if (rest.length > 0) socket.unshift(rest);
    client.serve(this.#options.service, this.#options.socket);
    // It was paused to read the header.
    if (!socket.destroyed) socket.resume();
  }

  refused(reason: RefuseReason): void {
    this.#options.counters.refused[reason] += 1;
  }

  left(): void {
    this.#stopWhenIdle();
  }

  get #isIdle(): boolean {
    return this.#clients.length === 0 && (this.#intake?.waiting ?? 0) === 0;
  }

  #accept(socket: Socket): void {
    const { service, counters, socket: socketOptions } = this.#options;
    if (this.#subordinateIds !== undefined) {
      const user = readPeerUser(socket, this.#subordinateIds);
      this.#admit(socket, user, 0, undefined)?.serve(service, socketOptions);
      return;
    }
    const source = readPeerAddress(socket, peer) ? parseIp(peer.address) : undefined;
    // A TCP client without an address has already reset the connection.
    if (source === undefined) {
      counters.accepted += 1;
      counters.closed['client-reset'] += 1;
      drop(socket);
      return;
    }
    if (this.#intake !== undefined) this.#intake.take(socket, source, peer.port);
    else this.#admit(socket, source, peer.port, undefined)?.serve(service, socketOptions);
  }

  #admit(socket: Socket, source: Source, port: number, proxied: Proxied | undefined): StreamClient | undefined {
    const { limits, admission, counters, clock } = this.#options;
    const openedAtMs = clock.monotonicMs();
    const place = admission.admit(source, openedAtMs, proxied !== undefined);
    if (typeof place === 'string') {
      this.refused(place);
      drop(socket);
      return undefined;
    }
    const local = this.#local ?? localAddressOf(socket);
    const options = { source, port, local, limits, openedAtMs, events: this, proxied };
    const client = new StreamClient(socket, place, options);
    this.#clients.add(client);
    counters.accepted += 1;
    counters.active += 1;
    return client;
  }

  #stopWhenIdle(): void {
    if (!this.#isIdle || this.#server.listening) return;
    this.#cancelSweep?.();
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** Closes a connection that was not admitted. */
function drop(socket: Socket): void {
  // A reset in the meantime must not become an unhandled `error`.
  socket.on('error', () => {});
  socket.destroy();
}

function boundAddress(server: Server, target: StreamTarget): BoundAddress {
  const address = server.address();
  // Node has no address for an inherited UNIX socket.
  if (address === null)
    return (
      ('fd' in target ? target.bound : undefined) ?? {
        transport: 'unix',
        address: 'fd' in target ? `fd ${target.fd}` : '',
        port: 0,
      }
    );
  if (typeof address === 'string') return { transport: 'unix', address, port: 0 };
  return { transport: 'tcp', address: address.address, port: address.port };
}

/** An inherited IPv6 socket may also accept IPv4 clients, with IPv4-mapped addresses. */
function localAddressOf({ localAddress = '', localPort = 0 }: Socket): string {
  return formatHostPort(localAddress.replace(/^::ffff:(?=\d+\.)/, ''), localPort);
}
