import type { LogConfig } from './config/config.ts';
import { LineBudget } from './line-budget.ts';
import { formatHostPort } from './address/host-port.ts';
import { nonZero, type ServiceCounters } from './counters.ts';
import type { CloseReason, Endpoint, Log } from './service.ts';

/** What the log wants to know of a client that has gone. */
export interface ClosedClient {
  readonly peer: Endpoint;
  readonly local: string;
  readonly openedAtMs: number;
  readonly received: number;
  readonly sent: number;
}

/** How often a service's refusals, drops and unwritten lines become a summary. */
export const summaryPeriodMs = 10_000;

/**
 * What one service writes about its clients: a line for each that closed, and a summary of those refused, of datagrams dropped and of lines left
 * out. However many strangers come, the log grows by a bounded number of lines a second.
 */
export class ConnectionLog {
  readonly #service: string;
  readonly #level: LogConfig['connections'];
  readonly #log: Log;
  readonly #counters: ServiceCounters;
  readonly #budget = new LineBudget();
  #errorsLeftOut = 0;
  #errorLogged = false;
  #summarised: { refused: Record<string, number>; dropped: Record<string, number> };

  constructor(service: string, level: LogConfig['connections'], log: Log, counters: ServiceCounters) {
    this.#service = service;
    this.#level = level;
    this.#log = log;
    this.#counters = counters;
    this.#summarised = this.#snapshot();
  }

  closed(client: ClosedClient, nowMs: number, reason: CloseReason): void {
    if (this.#level === 'off' || !this.#budget.take(nowMs)) return;
    this.#log[this.#level](
      {
        service: this.#service,
        peer: formatPeer(client.peer),
        local: client.local,
        bytesIn: client.received,
        bytesOut: client.sent,
        ms: Math.round(nowMs - client.openedAtMs),
        reason,
      },
      'closed',
    );
  }

  /** A service threw: the first error of each summary period is logged whole, the others are counted. */
  serviceFailed(error: unknown, peer?: Endpoint): void {
    if (this.#errorLogged) {
      this.#errorsLeftOut += 1;
      return;
    }
    this.#errorLogged = true;
    const who = peer === undefined ? {} : { peer: formatPeer(peer) };
    this.#log.error(
      { service: this.#service, ...who, err: error },
      'the service threw an error: it costs this client its answer, the others nothing',
    );
  }

  listenerFailed(error: Error): void {
    this.#log.error({ service: this.#service, err: error }, 'a listener reports an error');
  }

  muted(peer: string): void {
    this.#log.warn({ service: this.#service, peer }, 'a peer sends our own answers back: a loop; muted for 60 s');
  }

  /** Writes one line about what happened since the last, if anything did. */
  summarise(): void {
    const now = this.#snapshot();
    const refused = nonZero(difference(now.refused, this.#summarised.refused));
    const dropped = nonZero(difference(now.dropped, this.#summarised.dropped));
    const closedNotLogged = this.#budget.takeLeftOut();
    const fields = {
      ...(Object.keys(refused).length > 0 && { refused }),
      ...(Object.keys(dropped).length > 0 && { dropped }),
      ...(closedNotLogged > 0 && { closedNotLogged }),
      ...(this.#errorsLeftOut > 0 && { errorsNotLogged: this.#errorsLeftOut }),
    };
    this.#summarised = now;
    this.#errorsLeftOut = 0;
    this.#errorLogged = false;
    if (Object.keys(fields).length > 0) this.#log.warn({ service: this.#service, ...fields }, 'refused or dropped');
  }

  #snapshot(): { refused: Record<string, number>; dropped: Record<string, number> } {
    return { refused: { ...this.#counters.stream.refused }, dropped: { ...this.#counters.datagram.dropped } };
  }
}

function difference(now: Record<string, number>, before: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(now).map(([key, count]) => [key, count - (before[key] ?? 0)]));
}

function formatPeer({ family, address, port }: Endpoint): string {
  return family === 'unix' ? 'unix' : formatHostPort(address, port);
}
