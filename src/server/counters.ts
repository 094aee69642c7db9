import { addCustomCounts, type CustomCounts } from './custom-counters.ts';
import type { RefuseReason, WouldRefuseReason } from './guard/admission.ts';
import type { DropReason, WouldDropReason } from './guard/datagram-guard.ts';
import { newHandlerTime } from './handler-time.ts';
import type { DatagramFault, StreamFault } from './faults/fault-rules.ts';
import type { CloseReason } from '../service.ts';

/** Everything that one process, or the entire daemon, counts for one service. */
export type ServiceCounters = Readonly<ReturnType<typeof newServiceCounters>>;

/** Counters of a service's streams. */
export type StreamCounters = ServiceCounters['stream'];

/** Counters of a service's datagram sockets. */
export type DatagramCounters = ServiceCounters['datagram'];

export function newServiceCounters() {
  return {
    stream: {
      accepted: 0,
      active: 0,
      bytesIn: 0,
      bytesOut: 0,
      closed: {
        completed: 0,
        'client-reset': 0,
        'client-lost': 0,
        idle: 0,
        stalled: 0,
        lifetime: 0,
        quota: 0,
        evicted: 0,
        shutdown: 0,
        'service-error': 0,
        fault: 0,
      } satisfies Record<CloseReason, number>,
      refused: { 'proxy-header': 0, denied: 0, limit: 0, 'source-limit': 0, rate: 0 } satisfies Record<
        RefuseReason,
        number
      >,
      /** Served only because the limits are in dry run. */
      wouldRefuse: { limit: 0, 'source-limit': 0, rate: 0 } satisfies Record<WouldRefuseReason, number>,
      faults: {
        acceptDelay: 0,
        firstByteDelay: 0,
        delay: 0,
        rate: 0,
        corrupt: 0,
        closeAfter: 0,
        resetAfter: 0,
        resetOnAccept: 0,
        halfCloseEarly: 0,
        blackhole: 0,
        stopReading: 0,
        maxDelayed: 0,
      } satisfies Record<StreamFault, number>,
    },
    datagram: {
      received: 0,
      sent: 0,
      bytesIn: 0,
      bytesOut: 0,
      dropped: {
        overflow: 0,
        destination: 0,
        'proxy-header': 0,
        'source-port': 0,
        'source-address': 0,
        denied: 0,
        rate: 0,
        loop: 0,
        amplification: 0,
        busy: 0,
        'send-error': 0,
        'service-error': 0,
      } satisfies Record<DropReason, number>,
      /** Answered only because the rates are in dry run. */
      wouldDrop: { rate: 0 } satisfies Record<WouldDropReason, number>,
      faults: {
        delay: 0,
        loss: 0,
        duplicate: 0,
        reorder: 0,
        truncate: 0,
        corrupt: 0,
        answers: 0,
        maxDelayed: 0,
      } satisfies Record<DatagramFault, number>,
    },
    /** How long the service took for timed calls. */
    handlerTime: { stream: newHandlerTime(), datagram: newHandlerTime() },
    /** What the service itself counts. */
    custom: {} as CustomCounts,
  };
}

/** Adds `more` to `total`, in place. */
export function addServiceCounters(total: ServiceCounters, more: ServiceCounters): void {
  addCounts(total.stream, more.stream);
  addCounts(total.datagram, more.datagram);
  addCounts(total.handlerTime, more.handlerTime);
  addCustomCounts(total.custom, more.custom);
}

function addCounts(total: object, more: object): void {
  const sums = total as Record<string, unknown>;
  for (const [key, value] of Object.entries(more)) {
    if (typeof value === 'number') sums[key] = Number(sums[key] ?? 0) + value;
    else addCounts(sums[key] as object, value as object);
  }
}

/** Returns the counters of all services for a log line, by name. How long calls took would be too long for it. */
export function countsOf(
  services: ReadonlyMap<string, ServiceCounters>,
): Readonly<Record<string, Omit<ServiceCounters, 'handlerTime'>>> {
  return Object.fromEntries(
    [...services].map(([name, { stream, datagram, custom }]) => [name, { stream, datagram, custom }]),
  );
}

/** Returns only the nonzero counts, for people to read. */
export function nonZero<Key extends string>(counts: Readonly<Record<Key, number>>): Partial<Record<Key, number>> {
  const entries = Object.entries(counts) as [Key, number][];
  return Object.fromEntries(entries.filter(([, count]) => count !== 0)) as Partial<Record<Key, number>>;
}
