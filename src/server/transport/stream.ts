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
import type { BoundAddress, Listener, StreamTarget } from './listener.ts';
import { type PeerAddress, readPeerAddress, readPeerUser } from './peer-address.ts';
import { type Introduction, ProxyIntake, type ProxyIntakeEvents } from './proxy-intake.ts';
import { type Proxied, StreamClient, type StreamClientEvents } from './stream-client.ts';
import { bindPrivately } from './unix-socket.ts';

export interface StreamListenerOptions {
  readonly target: StreamTarget;
  readonly service: Service;
  readonly limits: StreamLimits;
  /** For TCP. */
  readonly proxy: ProxyRules;
  readonly socket: SocketOptions;
  /** Shared by all stream listeners of the service. */
  readonly admission: Admission;
  readonly counters: StreamCounters;
  readonly connectionLog: ConnectionLog;
  readonly clock: Clock;
}

/**
 * How long the input of a client that was answered at once waits to be thrown away. Most such clients send nothing and
 * are gone by then, and to read from them would cost 6 % of the daytime connections that can be served.
 */
const discardDelayMs = 10;

/** Read for one client at a time, and used at once. */
const peer: PeerAddress = { address: '', port: 0 };

/** A TCP or UNIX listener and the clients that came through it. */
export class StreamListener implements Listener, StreamClientEvents, ProxyIntakeEvents {
  readonly #options: StreamListenerOptions;
  readonly #server: Server;
  readonly #clients = new ClientList();
  /** Undefined: clients speak for themselves. */
  readonly #intake: ProxyIntake | undefined;
  /** Undefined for TCP. */
  readonly #subordinateIds: SubordinateIds | undefined;
  /** Clients whose input is to be thrown away soon. */
  readonly #answered: StreamClient[] = [];
  /** The address that every client reached; unknown for a wildcard. */
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
      // A client's FIN does not end what we still have to send.
      allowHalfOpen: true,
      // Whatever the kernel does not take at once counts as too much, on every version of Node (its own mark is 16 or
      // 64 KiB): so a client that takes nothing costs the chunk that is being written, 64 KiB.
      highWaterMark: 0,
    });
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  async open(): Promise<BoundAddress> {
    const { target, socket, limits, clock } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      const listen = (): void => {
        this.#server.listen(listenOptions(target, socket.backlog), () => {
          this.#server.off('error', reject);
          resolve();
        });
      };
      if ('access' in target) bindPrivately(listen);
      else listen();
    });
    this.#server.on('error', (error) => this.#options.connectionLog.listenerFailed(error));
    const bound = boundAddress(this.#server, target);
    if (bound.transport === 'unix') this.#local = `unix:${bound.address}`;
    else if (bound.address !== '0.0.0.0' && bound.address !== '::')
      this.#local = formatHostPort(bound.address, bound.port);
    this.#cancelSweep = clock.every(sweepPeriodMs(limits), () => this.#sweep());
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
    if (this.#answered.length === 0) this.#options.clock.after(discardDelayMs, () => this.#discardInput());
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

  /** A proxy has said whom it speaks for; `rest` is what the client has sent so far. */
  introduced(socket: Socket, { source, port, proxied, rest }: Introduction): void {
    const client = this.#admit(socket, source, port, proxied);
    if (client === undefined) return;
    if (rest.length > 0) socket.unshift(rest);
    client.serve(this.#options.service, this.#options.socket);
    // It was paused for the header to be read.
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
    const { service, counters } = this.#options;
    if (this.#subordinateIds !== undefined) {
      this.#admit(socket, readPeerUser(socket, this.#subordinateIds), 0, undefined)?.serve(
        service,
        this.#options.socket,
      );
      return;
    }
    const source = readPeerAddress(socket, peer) ? parseIp(peer.address) : undefined;
    // A TCP client without an address has reset the connection before we looked.
    if (source === undefined) {
      counters.accepted += 1;
      counters.closed['client-reset'] += 1;
      drop(socket);
      return;
    }
    if (this.#intake !== undefined) this.#intake.take(socket, source, peer.port);
    else this.#admit(socket, source, peer.port, undefined)?.serve(service, this.#options.socket);
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

  #discardInput(): void {
    for (const client of this.#answered.splice(0)) client.discardInput();
  }

  #sweep(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#clients.each((client) => client.sweep(nowMs));
  }

  #stopWhenIdle(): void {
    if (!this.#isIdle || this.#server.listening) return;
    this.#cancelSweep?.();
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** Ends a connection that is nobody's client. */
function drop(socket: Socket): void {
  // A reset that comes meanwhile is an `error`, which nobody else listens for.
  socket.on('error', () => {});
  socket.destroy();
}

function listenOptions(target: StreamTarget, backlog: number): object {
  if ('fd' in target) return { fd: target.fd, backlog };
  if (target.transport === 'unix') return { path: target.path, backlog };
  // Two sockets for two families: no IPv4-mapped peers, and each family's limits are its own.
  return { host: target.address, port: target.port, ipv6Only: target.family === 'ipv6', backlog };
}

function boundAddress(server: Server, target: StreamTarget): BoundAddress {
  const address = server.address();
  // Node knows no name for an inherited UNIX socket.
  if (address === null) return { transport: 'unix', address: 'fd' in target ? `fd ${target.fd}` : '', port: 0 };
  if (typeof address === 'string') return { transport: 'unix', address, port: 0 };
  return { transport: 'tcp', address: address.address, port: address.port };
}

/** An inherited IPv6 socket may take IPv4 clients, too, under the IPv6 form of their addresses. */
function localAddressOf({ localAddress = '', localPort = 0 }: Socket): string {
  return formatHostPort(localAddress.replace(/^::ffff:(?=\d+\.)/, ''), localPort);
}
