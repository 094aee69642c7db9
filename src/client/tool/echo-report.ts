import type { EchoPingEvent, EchoPingResult } from '../echo-ping.ts';
import { formatFlows } from './flow-table.ts';
import { JsonLines } from './json-lines.ts';
import { formatRoundTrips } from './round-trips.ts';
import { formatWait, timestamp } from './sample-text.ts';
import { peerName, type ToolTarget } from './targets.ts';
import type { Terminal } from './terminal.ts';

/** Prints a run of requests to one echo service in some format. */
export interface EchoReport {
  connected(peer: EchoPingResult['peer']): void;
  observe(event: EchoPingEvent): void;
  /** `error` says what is wrong with the result, unless it is right. */
  ended(result: EchoPingResult, error: string | undefined): void;
  /** There is no result. The error is reported besides. */
  failed(error: Error): void;
}

export interface EchoReportOptions {
  readonly count: number;
  readonly sizeBytes: number;
  readonly isUdp: boolean;
  readonly isQuiet: boolean;
  readonly hasTimestamps: boolean;
}

/** A line for each answer, unless it is quiet, and a summary. */
export class TextEchoReport implements EchoReport {
  readonly #terminal: Terminal;
  readonly #target: ToolTarget;
  readonly #options: EchoReportOptions;
  #name: string;

  constructor(terminal: Terminal, target: ToolTarget, options: EchoReportOptions) {
    this.#terminal = terminal;
    this.#target = target;
    this.#options = options;
    this.#name = target.host;
  }

  connected(peer: EchoPingResult['peer']): void {
    this.#name = peerName(this.#target, peer);
    const { isUdp, sizeBytes } = this.#options;
    this.#terminal.print(`echo ${this.#name} over ${isUdp ? 'UDP' : 'TCP'}, ${sizeBytes} bytes\n`);
  }

  observe(event: EchoPingEvent): void {
    const { isQuiet, hasTimestamps } = this.#options;
    if (isQuiet || event.kind === 'sent') return;
    this.#terminal.print(`${hasTimestamps ? timestamp() : ''}${this.#describe(event)}\n`);
  }

  ended(result: EchoPingResult): void {
    const flows = result.flows === undefined ? '' : `\n${formatFlows(result.flows, this.#terminal)}`;
    this.#terminal.print(`\n${formatRoundTrips(this.#name, result, result.elapsedMs)}${flows}`);
  }

  failed(): void {}

  #describe(event: Exclude<EchoPingEvent, { kind: 'sent' }>): string {
    const terminal = this.#terminal;
    const which = event.sequence === undefined ? '' : ` seq=${event.sequence + 1}`;
    switch (event.kind) {
      case 'refused':
        return `${this.#target.isAlone ? '' : `${this.#target.host}: `}${terminal.paint('red', event.message)}`;
      case 'silence':
        return `${this.#name}:${which} ${terminal.paint('red', formatWait(event.waitedMs))}`;
      case 'answered': {
        const mark = event.isDuplicate ? terminal.paint('yellow', ' (duplicate)') : '';
        const time = `time=${event.rttMs.toFixed(3)} ms`;
        return `${this.#options.sizeBytes} bytes from ${this.#name}:${which} ${time}${mark}`;
      }
      case 'corrupted': {
        const what = terminal.paint('red', `corrupted from offset ${event.offset} on`);
        return `${event.sizeBytes} bytes from ${this.#name}:${which} ${what}`;
      }
    }
  }
}

/** A line of JSON for each request and a summary. */
export class JsonEchoReport implements EchoReport {
  readonly #lines: JsonLines;

  constructor(terminal: Terminal, target: ToolTarget, { isQuiet }: EchoReportOptions) {
    this.#lines = new JsonLines(terminal, target, isQuiet);
  }

  connected(): void {}

  observe(event: EchoPingEvent): void {
    const sequence = event.sequence === undefined ? undefined : event.sequence + 1;
    switch (event.kind) {
      case 'sent':
        return;
      case 'answered':
        return this.#lines.event('reply', { sequence, rttMs: event.rttMs, isDuplicate: event.isDuplicate });
      case 'silence':
        return this.#lines.event('lost', { sequence, waitedMs: event.waitedMs });
      case 'corrupted':
        return this.#lines.event('corrupted', { sequence, offset: event.offset, bytes: event.sizeBytes });
      case 'refused':
        return this.#lines.event('error', { sequence, outcome: event.outcome, error: event.message });
    }
  }

  ended(result: EchoPingResult, error: string | undefined): void {
    this.#lines.summary(result.outcome, error, result);
  }

  failed(): void {}
}
