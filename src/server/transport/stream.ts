import { formatHostPort } from '../../address/host-port.ts';
import type { IpAddress } from '../../address/ip-address.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { ProxyRules, StreamLimits } from '../guard/limits.ts';
import type { SocketOptions } from './socket-options.ts';
import type { ConnectionLog } from '../connection-log.ts';
import type { StreamCounters } from '../counters.ts';
import type { HandlerTimer } from '../handler-time.ts';
import type { Admission, RefuseReason } from '../guard/admission.ts';
import { sweepPeriodMs } from '../guard/deadlines.ts';
import type { Source, UnixUser } from '../guard/source-prefix.ts';
import type { ServiceFaults } from '../faults/service-faults.ts';
import type { CloseReason, Service } from '../../service.ts';
import { ClientList } from './client-list.ts';
import type { Acceptor, AcceptorEvents } from './acceptor.ts';
import { FaultyStreamSocket } from './faulty-stream-socket.ts';
import { KernelAcceptor } from './kernel-acceptor.ts';
import { type BoundAddress, formatBoundAddress, type Listener, type StreamTarget } from './listener.ts';
import { NodeAcceptor } from './node-acceptor.ts';
import type { Offenders } from '../guard/offenders.ts';
import { type Introduction, ProxyIntake, type ProxyIntakeEvents } from './proxy-intake.ts';
import { type Proxied, StreamClient, type StreamClientEvents } from './stream-client.ts';
import type { StreamSocket } from './stream-socket.ts';

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
  readonly timer: HandlerTimer;
  readonly offenders: Offenders<RefuseReason>;
  readonly connectionLog: ConnectionLog;
  /** Undefined if the service has none. */
  readonly faults: ServiceFaults | undefined;
  readonly clock: Clock;
  /** Whether to use direct sockets. */
  readonly usesKernel: boolean;
}

/**
 * Delay before discarding the input of a client that was answered immediately. Most such clients send nothing and are
 * gone by then, and reading from them would cost 6% of the daytime connection rate.
 */
const discardDelayMs = 10;

/** A TCP or UNIX listener and its clients. */
export class StreamListener implements Listener, AcceptorEvents, StreamClientEvents, ProxyIntakeEvents {
  readonly #options: StreamListenerOptions;
  readonly #acceptor: Acceptor;
  readonly #clients = new ClientList();
  /** Undefined if clients connect directly, without a proxy. */
  readonly #intake: ProxyIntake | undefined;
  /** Clients whose input will be discarded soon. */
  readonly #answered: StreamClient[] = [];
  #faults: ServiceFaults | undefined;
  /** The local address of all clients, or undefined for a wildcard. */
  #local: string | undefined;
  /** Set by `open`. */
  #address = '';
  #cancelSweep: Cancel | undefined;
  #idle: (() => void)[] = [];

  constructor(options: StreamListenerOptions) {
    this.#options = options;
    const { target, proxy, socket, admission, connectionLog, faults, clock, usesKernel } = options;
    this.#faults = faults;
    if (target.transport === 'tcp' && proxy.from.length > 0)
      this.#intake = new ProxyIntake({ rules: proxy, admission, clock, events: this });
    const readsTcpInfo = target.transport === 'tcp' && connectionLog.tellsTcpInfo;
    const acceptor = { target, socket, clock, readsTcpInfo, events: this };
    this.#acceptor = usesKernel ? new KernelAcceptor(acceptor) : new NodeAcceptor(acceptor);
  }

  async open(): Promise<BoundAddress> {
    const { limits, clock, counters } = this.#options;
    const bound = await this.#acceptor.open();
    this.#address = formatBoundAddress(bound);
    if (bound.transport === 'unix') this.#local = `unix:${bound.address}`;
    else if (bound.address !== '0.0.0.0' && bound.address !== '::')
      this.#local = formatHostPort(bound.address, bound.port);
    this.#cancelSweep = clock.every(sweepPeriodMs(limits), () => {
      const nowMs = clock.monotonicMs();
      this.#clients.each((client) => {
        client.sweep(nowMs);
        client.count(counters);
      });
    });
    return bound;
  }

  suspend(): void {
    this.#acceptor.close();
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

  setFaults(faults: ServiceFaults | undefined): void {
    this.#faults = faults;
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
    client.count(counters);
    connectionLog.closed(client, clock.monotonicMs(), reason);
    this.#stopWhenIdle();
  }

  clientFailed(client: StreamClient, error: unknown): void {
    this.#options.connectionLog.serviceFailed(error, client);
  }

  failed(error: Error): void {
    this.#options.connectionLog.listenerFailed(error);
  }

  leavesToOthers(): boolean {
    return this.#options.admission.leavesToOthers(this.#intake === undefined ? 'direct' : 'proxied');
  }

  connected(socket: StreamSocket, source: IpAddress | undefined, port: number): void {
    const { counters } = this.#options;
    // A TCP client without an address has already reset the connection.
    if (source === undefined) {
      counters.accepted += 1;
      counters.closed['client-reset'] += 1;
      socket.destroy();
      return;
    }
    if (this.#intake !== undefined) this.#intake.take(socket, source, port);
    else this.#admit(socket, source, port, undefined);
  }

  connectedLocally(socket: StreamSocket, user: UnixUser): void {
    this.#admit(socket, user, 0, undefined);
  }

  /** A proxy has identified its client. `rest` is what the client has sent so far. */
  introduced(socket: StreamSocket, { source, port, proxied, rest }: Introduction): void {
    this.#admit(socket, source, port, proxied, rest.length === 0 ? undefined : Buffer.from(rest));
  }

  refused(reason: RefuseReason, source: Source): void {
    this.#options.counters.refused[reason] += 1;
    this.#options.offenders.note(reason, source, 0);
  }

  left(): void {
    this.#stopWhenIdle();
  }

  get #isIdle(): boolean {
    return this.#clients.length === 0 && (this.#intake?.waiting ?? 0) === 0;
  }

  /** Serves a client, unless it is refused. `input` is what it has sent so far. */
  #admit(socket: StreamSocket, source: Source, port: number, proxied: Proxied | undefined, input?: Buffer): void {
    const { limits, admission, counters, timer, clock } = this.#options;
    const faults = this.#faults;
    const openedAtMs = clock.monotonicMs();
    const place = admission.admit(source, openedAtMs, proxied !== undefined);
    if (typeof place === 'string') {
      this.refused(place, source);
      socket.destroy();
      return;
    }
    const local = this.#local ?? socket.local;
    const listener = this.#address;
    const options = { source, port, local, listener, limits, openedAtMs, timer, events: this, proxied };
    const faulty = faults === undefined ? undefined : new FaultyStreamSocket(socket, faults);
    const client = new StreamClient(faulty ?? socket, place, options);
    this.#clients.add(client);
    counters.accepted += 1;
    counters.active += 1;
    if (faulty === undefined) this.#serve(client, input);
    else faulty.accept(client, () => this.#serve(client, input));
  }

  #serve(client: StreamClient, input: Buffer | undefined): void {
    client.serve(this.#options.service, this.#options.socket);
    if (input !== undefined) client.received(input);
  }

  #stopWhenIdle(): void {
    if (!this.#isIdle || this.#acceptor.isOpen) return;
    this.#cancelSweep?.();
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
