import { formatHostPort } from '../address/host-port.ts';
import type { BudgetedLog } from './budgeted-log.ts';
import type { LogConfig } from './config/config.ts';
import { nonZero, type ServiceCounters } from './counters.ts';
import type { ServiceOffenders } from './guard/offenders.ts';
import type { CloseReason, PeerAddress } from '../service.ts';

/** Identifies a stream client. */
export interface NamedClient {
  readonly peer: PeerAddress;
  /** The user id of a UNIX client, if the kernel provides it. */
  readonly uid: number | undefined;
}

/** What the log records about a closed client. */
export interface ClosedClient extends NamedClient {
  /** The proxy that the client came through. */
  readonly via: string | undefined;
  readonly local: string;
  readonly openedAtMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Undefined unless the log tells it. */
  readonly tcpInfo: { readonly rttMs: number; readonly retransmits: number } | undefined;
}

const nobody: ServiceOffenders = { refused: [], dropped: [] };

/** How often a service's refusals, drops and unwritten lines are summarized. */
export const summaryPeriodMs = 10_000;

/**
 * Logs the clients of one service: a line for each closed client, and a summary of refused clients, dropped datagrams
 * and lines left out. However many strangers come, the log grows by a bounded number of lines per second.
 */
export class ConnectionLog {
  readonly #level: LogConfig['connections'];
  readonly #log: BudgetedLog;
  readonly #counters: ServiceCounters;
  #errorsLeftOut = 0;
  #errorLogged = false;
  #summarized: Refusals;

  /** `log` is the service's own, which names it in each line. */
  constructor(level: LogConfig['connections'], log: BudgetedLog, counters: ServiceCounters) {
    this.#level = level;
    this.#log = log;
    this.#counters = counters;
    this.#summarized = this.#snapshot();
  }

  /** Whether lines about closed clients have their `tcpInfo`. */
  get tellsTcpInfo(): boolean {
    return this.#level !== 'off' && this.#log.unbudgeted.isLevelEnabled('debug');
  }

  closed(client: ClosedClient, nowMs: number, reason: CloseReason): void {
    if (this.#level === 'off') return;
    // Minor at every level, because any client can cause it.
    const log = this.#log.take(this.#level, true);
    if (log === undefined) return;
    log[this.#level](
      {
        peer: formatPeer(client),
        ...(client.via !== undefined && { via: client.via }),
        local: client.local,
        bytesIn: client.bytesIn,
        bytesOut: client.bytesOut,
        ms: Math.round(nowMs - client.openedAtMs),
        ...client.tcpInfo,
        reason,
      },
      'closed',
    );
  }

  /** A service threw. The first error of each summary period is logged in full, the others are counted. */
  serviceFailed(error: unknown, client?: NamedClient): void {
    const log = this.#errorLogged ? undefined : this.#log.take('error');
    if (log === undefined) {
      this.#errorsLeftOut += 1;
      return;
    }
    this.#errorLogged = true;
    const who = client === undefined ? {} : { peer: formatPeer(client) };
    try {
      log.error({ ...who, err: error }, 'service failed, only this client is affected');
    } catch {
      // The error may be anything, also an object that throws when it is read.
      log.error({ ...who, err: new Error('the error cannot be read') }, 'service failed, only this client is affected');
    }
  }

  listenerFailed(error: Error): void {
    this.#log.error({ err: error }, 'listener reported an error');
  }

  loopFound(peer: string): void {
    this.#log.warn({ peer }, 'loop detected, dropping repeats');
  }

  /**
   * Logs what has happened since the last summary, and because of whom. Logs separately what happened only because of a
   * dry run.
   */
  summarize(offenders: ServiceOffenders = nobody): void {
    const now = this.#snapshot();
    const before = this.#summarized;
    const { lines: linesNotLogged, areMinor } = this.#log.takeLeftOut();
    const happened = {
      ...news('refused', now, before),
      ...mostly('refused', 'refusedMostly', offenders, now, before),
      ...news('dropped', now, before),
      ...mostly('dropped', 'droppedMostly', offenders, now, before),
      ...(linesNotLogged > 0 && { linesNotLogged }),
      ...(this.#errorsLeftOut > 0 && { errorsNotLogged: this.#errorsLeftOut }),
    };
    const wouldHave = { ...news('wouldRefuse', now, before), ...news('wouldDrop', now, before) };
    const log = this.#log.unbudgeted;
    if ('refused' in happened || 'dropped' in happened) log.warn(happened, 'clients refused or datagrams dropped');
    else if ('errorsNotLogged' in happened || !areMinor) log.warn(happened, 'log lines suppressed');
    else if (linesNotLogged > 0) log.info({ linesNotLogged }, 'log lines suppressed');
    if (Object.keys(wouldHave).length > 0) log.warn(wouldHave, 'dry run, would have refused or dropped');
    this.#summarized = now;
    this.#errorsLeftOut = 0;
    this.#errorLogged = false;
  }

  #snapshot(): Refusals {
    const { refused, wouldRefuse } = this.#counters.stream;
    const { dropped, wouldDrop } = this.#counters.datagram;
    return structuredClone({ refused, dropped, wouldRefuse, wouldDrop });
  }
}

type Refusals = Readonly<Record<'refused' | 'dropped' | 'wouldRefuse' | 'wouldDrop', Record<string, number>>>;

/** Returns the counts since the last summary under their name, or nothing if there are none. */
function news(name: keyof Refusals, now: Refusals, before: Refusals): object {
  const differences = Object.entries(now[name]).map(([key, count]) => [key, count - (before[name][key] ?? 0)]);
  const counts = nonZero(Object.fromEntries(differences));
  return Object.keys(counts).length > 0 ? { [name]: counts } : {};
}

/** Returns who caused most of it lately, by reason, or nothing if that is not known. */
function mostly(
  name: 'refused' | 'dropped',
  field: string,
  offenders: ServiceOffenders,
  now: Refusals,
  before: Refusals,
): object {
  const recent = offenders[name].filter(({ reason }) => (now[name][reason] ?? 0) > (before[name][reason] ?? 0));
  if (recent.length === 0) return {};
  return { [field]: Object.fromEntries(recent.map(({ reason, source }) => [reason, source])) };
}

function formatPeer({ peer: { family, address, port }, uid }: NamedClient): string {
  if (family !== 'unix') return formatHostPort(address, port);
  return uid === undefined ? 'unix' : `unix:${uid}`;
}
