import { formatHostPort } from '../address/host-port.ts';
import type { Cancel, Clock } from '../clock/clock.ts';
import type { Config, ServiceConfig } from './config/config.ts';
import { isExposed } from '../address/exposure.ts';
import { exposureMessage } from './config/exposure.ts';
import { transportFault } from './config/transports.ts';
import { ConnectionLog, summaryPeriodMs } from './connection-log.ts';
import { newServiceCounters, type ServiceCounters } from './counters.ts';
import { HandlerTimer } from './handler-time.ts';
import { SmallservdError } from '../errors.ts';
import { openFlowMemory } from './flow-memory.ts';
import { linkRoutes } from '../kernel/link-routes.ts';
import { neighbors } from '../kernel/neighbors.ts';
import { libcNeeds } from '../kernel/libc.ts';
import { hasSockets } from '../kernel/sockets.ts';
import { DelayQueue } from './faults/delay-queue.ts';
import { DelayedBudget } from './faults/delayed-budget.ts';
import type { FaultRules } from './faults/fault-rules.ts';
import { ServiceFaults } from './faults/service-faults.ts';
import { Admission, type RefuseReason, type SourceCount } from './guard/admission.ts';
import { DescriptorBudget, descriptorBudget, streamServices } from './guard/descriptor-budget.ts';
import { DatagramGuard, type DropReason } from './guard/datagram-guard.ts';
import { DatagramIntake } from './guard/datagram-intake.ts';
import { LoopBreaker } from './guard/loop-breaker.ts';
import { Offenders, type ServiceOffenders } from './guard/offenders.ts';
import { type FlowMemory, flowBytes, ProxyFlows } from './guard/proxy-flows.ts';
import { SourceHash } from './guard/source-hash.ts';
import { SourceMask } from './guard/source-prefix.ts';
import { roomPeriodMs } from './guard/shared-room.ts';
import type { LimitMemory } from './limit-memory.ts';
import type { PreparedService } from './service-context.ts';
import { readOpenFiles } from '../open-files.ts';
import type { Log } from '../service.ts';
import { BroadcastAddresses } from './transport/broadcast-addresses.ts';
import { KernelDatagramListener } from './transport/kernel-datagram.ts';
import { interfaceAddresses, Neighborhood } from './transport/neighborhood.ts';
import { NodeDatagramListener } from './transport/node-datagram.ts';
import type { BoundAddress, DatagramTarget, Listener, ListenTarget } from './transport/listener.ts';
import { openWhenThere } from './transport/open-when-there.ts';
import type { PlannedListener } from './transport/plan.ts';
import { StreamListener } from './transport/stream.ts';
import { formatPeer, nameOfZone } from './transport/zone.ts';

/** A listener of the plan after `open`: where it is bound, or undefined if the machine lacks its address family. */
export interface OpenedListener {
  readonly planned: PlannedListener;
  /** Undefined: skipped. */
  readonly bound: BoundAddress | undefined;
}

export interface LifecycleOptions {
  readonly config: Config;
  readonly services: ReadonlyMap<string, PreparedService>;
  /** If several processes serve: what they share for the stream limits. */
  readonly limitMemory?: LimitMemory | undefined;
  /** How many processes serve this config: 1 by default. */
  readonly processes?: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** Number of sources named for each service. */
export const topSourcesCount = 10;

/** How often the broadcast addresses of the interfaces are reread. */
const interfacesPeriodMs = 60_000;

/** How often to check whether a shortage of descriptors has ended or begun. */
const reviewPeriodMs = 1000;

/** Everything that one service has in this process. */
interface Served extends PreparedService {
  readonly config: ServiceConfig;
  readonly counters: ServiceCounters;
  readonly timers: Readonly<Record<'stream' | 'datagram', HandlerTimer>>;
  readonly connectionLog: ConnectionLog;
  readonly admission: Admission;
  readonly guard: DatagramGuard;
  /** What its faults delay, even those that were replaced. */
  readonly delayedBudget: DelayedBudget;
  faults: ServiceFaults | undefined;
  /** All that were opened, or tried. */
  readonly listeners: Listener[];
  readonly refused: Offenders<RefuseReason>;
  readonly dropped: Offenders<DropReason>;
}

/** The services of one process and their listeners, started and stopped in order. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #served = new Map<string, Served>();
  readonly #listeners = new Map<number, Listener>();
  /** Addresses of the listeners that accept clients. */
  readonly #bound = new Map<number, BoundAddress>();
  readonly #ownPorts = new Set<number>();
  readonly #loops: LoopBreaker;
  readonly #neighborhood: Neighborhood;
  readonly #descriptors: DescriptorBudget;
  /** What the faults of all services delay. */
  readonly #delayed: DelayQueue;
  readonly #cancels: Cancel[] = [];
  readonly #usesKernel: boolean;
  #started = false;
  #suspended = false;
  #closed = false;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    const { config, services, clock, random, log } = options;
    this.#loops = new LoopBreaker(random);
    this.#delayed = new DelayQueue(clock);
    const broadcasts = new BroadcastAddresses((error) =>
      log.warn({ err: error }, 'cannot read network interfaces, datagrams from their broadcast addresses are accepted'),
    );
    this.#usesKernel = this.#findsKernel();
    this.#descriptors = this.#descriptorBudget();
    for (const [index, service] of config.services.entries()) {
      const prepared = services.get(service.name);
      if (prepared === undefined) throw new Error(`no service was made for ${service.name}`);
      this.#served.set(service.name, this.#serve(service, index, prepared, broadcasts));
    }
    this.#cancels.push(clock.every(interfacesPeriodMs, () => broadcasts.read()));
    this.#cancels.push(clock.every(summaryPeriodMs, () => this.#summarize()));
    this.#cancels.push(clock.every(reviewPeriodMs, () => this.#descriptors.review()));
    this.#neighborhood = new Neighborhood(
      {
        addresses: interfaceAddresses,
        routes: (found) => linkRoutes().read(found),
        neighbors: (found) => neighbors().read(found),
      },
      options.limitMemory?.neighborSearches,
    );
    if (options.limitMemory !== undefined)
      this.#cancels.push(
        clock.every(roomPeriodMs, () => {
          for (const { admission } of this.#served.values()) admission.noteLargest();
        }),
      );
  }

  /** By instance name. */
  get counters(): ReadonlyMap<string, ServiceCounters> {
    return new Map([...this.#served].map(([name, { counters }]) => [name, counters]));
  }

  /** By instance name: the sources with the most connections in this process. */
  get topSources(): ReadonlyMap<string, readonly SourceCount[]> {
    return new Map([...this.#served].map(([name, { admission }]) => [name, admission.topSources(topSourcesCount)]));
  }

  /** By instance name: who was turned away most often lately in this process. */
  get offenders(): ReadonlyMap<string, ServiceOffenders> {
    return new Map(
      [...this.#served].map(([name, { refused, dropped }]) => [name, { refused: refused.top, dropped: dropped.top }]),
    );
  }

  /** Adds UDP ports that any process of this daemon serves. Datagrams from them must not be answered. */
  addOwnPorts(ports: Iterable<number>): void {
    for (const port of ports) this.#ownPorts.add(port);
  }

  /**
   * Throws `CONFIG_INVALID` if the service does not answer over that transport, or if the address is exposed. Literal
   * addresses were checked with the config; those of host names and inherited sockets are known only now.
   */
  assertMayAnswer({ service: name, text, target }: PlannedListener, address = addressOf(target)): void {
    const { config } = this.#serviceOf(name);
    const { type, transport, udpHazard, exposeUdp } = config;
    const fault = transportFault(text, target.transport, type, transport);
    if (fault !== undefined) throw new SmallservdError('CONFIG_INVALID', `${name}: ${fault}`);
    if (target.transport !== 'udp' || udpHazard === undefined || exposeUdp) return;
    if (address === undefined || !isExposed(address)) return;
    const message = exposureMessage(`${text} (${address})`, type, udpHazard);
    throw new SmallservdError('CONFIG_INVALID', `${name}: ${message}`);
  }

  /**
   * Opens listeners in the given order, and waits for addresses as `openWhenThere` does. Listeners already open are
   * unaffected. A failure closes what this call opened, and rejects with an error that names service, address and
   * cause. More listeners may be opened later.
   */
  async open(plan: readonly PlannedListener[]): Promise<readonly OpenedListener[]> {
    const before = new Map(this.#bound);
    const { clock, log } = this.#options;
    try {
      if (!this.#started) {
        this.#started = true;
        await Promise.all([...this.#served.values()].map(({ context }) => context.start()));
      }
      const open = async (planned: PlannedListener): Promise<BoundAddress> =>
        before.get(planned.id) ?? (await this.#open(planned));
      const bound = await openWhenThere(plan, open, { clock, log, isStopping: () => this.#suspended });
      return plan.map((planned) => ({ planned, bound: bound.get(planned) }));
    } catch (error) {
      for (const { id } of plan) {
        if (before.has(id) || !this.#bound.has(id)) continue;
        this.#listeners.get(id)?.suspend();
        this.#bound.delete(id);
      }
      throw error;
    }
  }

  /**
   * Replaces the faults of a service. Undefined: none. Connections keep theirs, and what is delayed is still sent.
   * Does nothing if there is no such service.
   */
  setFaults(service: string, rules: FaultRules | undefined): void {
    const served = this.#served.get(service);
    if (served === undefined) return;
    served.faults = this.#faultsOf(rules, served);
    for (const listener of served.listeners) listener.setFaults(served.faults);
  }

  /** Stops accepting new clients on all listeners. */
  suspend(): void {
    this.#suspended = true;
    for (const listener of this.#listeners.values()) listener.suspend();
  }

  /** Lets clients finish for at most `graceMs`, then ends the rest. A second call can only shorten that. */
  async drain(graceMs: number): Promise<void> {
    this.suspend();
    const drained = Promise.all([...this.#listeners.values()].map((listener) => listener.drain()));
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(graceMs, resolve);
      void drained.then(cancel).then(resolve);
    });
    this.destroy();
    await drained;
    this.#close();
  }

  /** Ends the remaining clients. */
  destroy(): void {
    for (const listener of this.#listeners.values()) listener.destroy();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    this.#summarize();
    for (const [name, { service, context }] of this.#served) {
      context.stop();
      try {
        service.close?.();
      } catch (error) {
        this.#options.log.error({ service: name, err: error }, 'service failed while closing');
      }
    }
  }

  #summarize(): void {
    for (const { connectionLog, refused, dropped } of this.#served.values()) {
      connectionLog.summarize({ refused: refused.top, dropped: dropped.top });
      refused.fade();
      dropped.fade();
    }
  }

  /** Throws the system's error if it cannot be opened. */
  async #open(planned: PlannedListener): Promise<BoundAddress> {
    this.assertMayAnswer(planned);
    this.#assertCanOpen(planned);
    const listener = this.#listener(planned);
    this.#serviceOf(planned.service).listeners.push(listener);
    const bound = await listener.open();
    try {
      // The address of an inherited socket may be known only now.
      this.assertMayAnswer(planned, bound.address);
    } catch (error) {
      listener.suspend();
      throw error;
    }
    // A stop may have come while this listener was being opened.
    if (this.#suspended) listener.suspend();
    this.#listeners.set(planned.id, listener);
    this.#bound.set(planned.id, bound);
    if (bound.transport === 'udp') this.#ownPorts.add(bound.port);
    return bound;
  }

  /** Node has no options for what some keys ask. With workers, the sockets are our own. */
  #assertCanOpen({ service, text, target }: PlannedListener): void {
    if (this.#usesKernel || ('fd' in target && hasSockets)) return;
    const key =
      'port' in target && target.freebind === true
        ? 'freebind'
        : target.transport === 'udp' && this.#serviceOf(service).config.fragment
          ? 'fragment'
          : undefined;
    if (key === undefined) return;
    const needed = `${key} needs workers or "sockets: kernel", and koffi on 64-bit Linux`;
    throw new SmallservdError('LISTEN_FAILED', `${service}: cannot listen on ${text}: ${needed}`);
  }

  #serviceOf(name: string): Served {
    const served = this.#served.get(name);
    if (served === undefined) throw new Error(`the plan names a service that the config lacks: ${name}`);
    return served;
  }

  #listener({ service: name, target }: PlannedListener): Listener {
    const { config, service, counters, timers, connectionLog, admission, guard, faults, refused, dropped } =
      this.#serviceOf(name);
    const common = { service, connectionLog, faults, clock: this.#options.clock };
    if (target.transport === 'udp') {
      const { fragment } = config;
      const { receiveBufferBytes } = config.datagram;
      const neighborhood = this.#neighborhood;
      const intake = this.#datagramIntake(config, target);
      const options = {
        ...common,
        target,
        receiveBufferBytes,
        fragment,
        neighborhood,
        guard,
        intake,
        counters: counters.datagram,
        timer: timers.datagram,
        offenders: dropped,
      };
      return this.#usesKernel ? new KernelDatagramListener(options) : new NodeDatagramListener(options);
    }
    const { stream: limits, proxy, socket } = config;
    const usesKernel = this.#usesKernel;
    return new StreamListener({
      ...common,
      target,
      limits,
      proxy,
      socket,
      admission,
      counters: counters.stream,
      timer: timers.stream,
      offenders: refused,
      usesKernel,
    });
  }

  /** Undefined if the service has no proxies. */
  #datagramIntake({ proxy, stream }: ServiceConfig, target: DatagramTarget): DatagramIntake | undefined {
    if (proxy.from.length === 0) return undefined;
    const memory =
      'flowMemory' in target && target.flowMemory !== undefined
        ? openFlowMemory(target.flowMemory)
        : this.#ownFlowMemory();
    return new DatagramIntake(proxy, new ProxyFlows(stream.idleTimeoutMs, memory));
  }

  /** Of this process alone. */
  #ownFlowMemory(): FlowMemory {
    const { clock, random } = this.#options;
    const hash = SourceHash.random(random);
    return { memory: new ArrayBuffer(flowBytes), offset: 0, hash, nowMs: () => clock.monotonicMs() };
  }

  /** Throws `LISTEN_FAILED`. */
  #findsKernel(): boolean {
    const { sockets } = this.#options.config;
    if (sockets === 'kernel' && !hasSockets)
      throw new SmallservdError('LISTEN_FAILED', `sockets: kernel needs ${libcNeeds}`);
    return sockets !== 'node' && hasSockets;
  }

  /** Throws `NO_DESCRIPTORS`. */
  #descriptorBudget(): DescriptorBudget {
    const { config, log } = this.#options;
    const files = readOpenFiles();
    const budget = descriptorBudget(files, config.services);
    const services = streamServices(config.services).length;
    if (budget === 0 && services > 0) {
      const message = `the open file limit of ${files?.limit} leaves no descriptors for clients: raise it (ulimit -n, LimitNOFILE=)`;
      throw new SmallservdError('NO_DESCRIPTORS', message);
    }
    return new DescriptorBudget(budget, services, {
      onShortage: (descriptors) => log.warn({ budget: descriptors }, 'out of file descriptors, refusing new clients'),
      onRelief: (clientsRefused) => log.info({ clientsRefused }, 'file descriptors available again'),
    });
  }

  #serve(config: ServiceConfig, index: number, prepared: PreparedService, broadcasts: BroadcastAddresses): Served {
    const { clock, random, limitMemory } = this.#options;
    const { access } = config;
    const counters: ServiceCounters = { ...newServiceCounters(), custom: prepared.context.counts };
    const { handlerTime } = counters;
    const connectionLog = new ConnectionLog(this.#options.config.log.connections, prepared.log, counters);
    const delayedBudget = new DelayedBudget();
    return {
      ...prepared,
      config,
      counters,
      timers: {
        stream: new HandlerTimer(handlerTime.stream, clock),
        datagram: new HandlerTimer(handlerTime.datagram, clock),
      },
      connectionLog,
      delayedBudget,
      faults: this.#faultsOf(config.faults, { counters, delayedBudget }),
      listeners: [],
      refused: new Offenders(new SourceMask(config.stream.sourcePrefix), nameOfZone),
      dropped: new Offenders(new SourceMask(config.datagram.sourcePrefix), nameOfZone),
      admission: new Admission({
        limits: config.stream,
        shared: limitMemory?.of(index),
        access,
        descriptors: this.#descriptors.share(),
        random,
        nameOfZone,
        onWouldRefuse: (reason) => {
          counters.stream.wouldRefuse[reason] += 1;
        },
      }),
      guard: new DatagramGuard({
        limits: config.datagram,
        access,
        ownPorts: this.#ownPorts,
        broadcasts: broadcasts.words,
        random,
        shared: limitMemory?.of(index),
        loops: this.#loops,
        onLoop: (source, port) => connectionLog.loopFound(formatHostPort(formatPeer(source), port)),
        onWouldDrop: (reason) => {
          counters.datagram.wouldDrop[reason] += 1;
        },
      }),
    };
  }

  #faultsOf(
    rules: FaultRules | undefined,
    { counters: { datagram, stream }, delayedBudget }: Pick<Served, 'counters' | 'delayedBudget'>,
  ): ServiceFaults | undefined {
    if (rules === undefined) return undefined;
    delayedBudget.limits = rules.maxDelayed;
    return new ServiceFaults(rules, this.#delayed, delayedBudget, { datagram: datagram.faults, stream: stream.faults });
  }
}

/** Undefined if it is not known yet, or a path. */
function addressOf(target: ListenTarget): string | undefined {
  if ('address' in target) return target.address;
  return 'fd' in target ? target.bound?.address : undefined;
}
