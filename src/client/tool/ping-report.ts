import type { PingEvent, PingResult } from '../ping.ts';
import { JsonLines } from './json-lines.ts';
import { formatRoundTrips } from './round-trips.ts';
import type { SampleOptions } from './sample-options.ts';
import { formatTime, formatWait, timestamp } from './sample-text.ts';
import type { ToolTarget } from './targets.ts';
import type { Terminal } from './terminal.ts';

type Happening = Exclude<PingEvent, { kind: 'started' }>;

/** Prints a line for each reply and a summary, in the words of ping(8). */
export class TextPingReport {
  readonly #terminal: Terminal;
  readonly #target: ToolTarget;
  readonly #options: SampleOptions;
  #address = '';

  constructor(terminal: Terminal, target: ToolTarget, options: SampleOptions) {
    this.#terminal = terminal;
    this.#target = target;
    this.#options = options;
  }

  observe(event: PingEvent): void {
    if (event.kind === 'started') {
      this.#address = event.address;
      this.#terminal.print(`ping ${this.#name}, ${event.sizeBytes} bytes\n`);
    } else if (this.#options.quiet !== true) {
      const time = this.#options.timestamps === true ? timestamp() : '';
      this.#terminal.print(`${time}${this.#describe(event)}\n`);
    }
  }

  ended(result: PingResult): void {
    this.#terminal.print(`\n${formatRoundTrips(this.#name, result, result.elapsedMs)}`);
  }

  /** The host as given and its address. */
  get #name(): string {
    const { host } = this.#target;
    return host === this.#address || host === `[${this.#address}]` ? this.#address : `${host} (${this.#address})`;
  }

  #describe(event: Happening): string {
    const number = `icmp_seq=${event.sequence}`;
    const name = this.#target.isAlone ? this.#address : this.#name;
    const prefix = this.#target.isAlone ? '' : `${this.#name}: `;
    const terminal = this.#terminal;
    switch (event.kind) {
      case 'reply': {
        const ttl = event.ttl === undefined ? '' : ` ttl=${event.ttl}`;
        const marks = `${event.isDuplicate ? ' (DUP!)' : ''}${event.isLate ? ' (late)' : ''}`;
        const time = `time=${formatTime(event.rttMs)} ms${marks === '' ? '' : terminal.paint('yellow', marks)}`;
        return `${event.bytes} bytes from ${name}: ${number}${ttl} ${time}`;
      }
      case 'corrupted': {
        const what = event.offset === undefined ? 'wrong checksum' : `wrong data from byte ${event.offset} on`;
        return `From ${name} ${number} ${terminal.paint('red', what)}`;
      }
      case 'error': {
        const from = event.from === undefined ? '' : `From ${event.from} `;
        return `${prefix}${from}${number} ${terminal.paint('red', event.reason)}`;
      }
      case 'silence':
        return `${prefix}${number} ${terminal.paint('red', formatWait(event.waitedMs))}`;
    }
  }
}

/** Prints a line of JSON for each request and a summary. */
export class JsonPingReport {
  readonly #lines: JsonLines;

  constructor(terminal: Terminal, target: ToolTarget, options: SampleOptions) {
    this.#lines = new JsonLines(terminal, target, options.quiet === true);
  }

  observe(event: PingEvent): void {
    if (event.kind === 'started') return;
    const { kind, sequence } = event;
    switch (kind) {
      case 'reply': {
        const { rttMs, isDuplicate, isLate, bytes, ttl } = event;
        return this.#lines.event('reply', { sequence, rttMs, isDuplicate, isLate, bytes, ttl });
      }
      case 'silence':
        return this.#lines.event('lost', { sequence, waitedMs: event.waitedMs });
      case 'corrupted':
        return this.#lines.event('corrupted', { sequence, offset: event.offset });
      case 'error': {
        const { outcome, reason: error, from } = event;
        return this.#lines.event('error', { sequence, outcome, error, from });
      }
    }
  }

  ended(result: PingResult): void {
    this.#lines.summary(result.outcome, undefined, result);
  }
}
