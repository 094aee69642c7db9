import type { Endpoint } from '../options.ts';
import type { StampArrival, StampEvent, StampReplyEvent, StampResult } from '../stamp/measurement.ts';
import { formatFlows } from './flow-table.ts';
import { JsonLines } from './json-lines.ts';
import type { SampleOptions } from './sample-options.ts';
import { formatTime, formatWait, timestamp } from './sample-text.ts';
import { formatStampSummary } from './stamp-summary.ts';
import { peerName, type ToolTarget } from './targets.ts';
import type { Terminal } from './terminal.ts';

type Happening = Exclude<StampEvent, { kind: 'sent' }>;

/** Prints a line for each reply and a summary. */
export class TextStampReport {
  readonly #terminal: Terminal;
  readonly #target: ToolTarget;
  readonly #options: SampleOptions;
  #name: string;

  constructor(terminal: Terminal, target: ToolTarget, options: SampleOptions) {
    this.#terminal = terminal;
    this.#target = target;
    this.#options = options;
    this.#name = target.host;
  }

  connected(peer: Endpoint): void {
    this.#name = peerName(this.#target, peer);
    this.#terminal.print(`stamp ${this.#name}\n`);
  }

  observe(event: StampEvent): void {
    if (event.kind === 'sent' || this.#options.quiet === true) return;
    const time = this.#options.timestamps === true ? timestamp() : '';
    this.#terminal.print(`${time}${this.#describe(event)}\n`);
  }

  ended(result: StampResult): void {
    const flows = result.flows === undefined ? '' : `\n${formatFlows(result.flows, this.#terminal)}`;
    this.#terminal.print(`\n${formatStampSummary(this.#name, result)}${flows}`);
  }

  #describe(event: Happening): string {
    const terminal = this.#terminal;
    switch (event.kind) {
      case 'reply': {
        const mark = event.isDuplicate ? terminal.paint('yellow', ' (duplicate)') : '';
        const reflector = event.reflectorMs === undefined ? '' : ` reflector=${formatTime(event.reflectorMs)} ms`;
        const times = `time=${formatTime(event.rttMs)} ms${oneWay(event)}${reflector}`;
        return `${event.bytes} bytes from ${this.#name}: seq=${event.sequence + 1} ${times}${ends(event)}${mark}`;
      }
      case 'silence':
        return `${this.#name}: seq=${event.sequence + 1} ${terminal.paint('red', formatWait(event.waitedMs))}`;
      case 'wrong': {
        const what = terminal.paint('red', 'not a reply to a test packet of this run');
        return `${event.bytes} bytes from ${this.#name}: ${what}`;
      }
      case 'refused':
        return `${this.#target.isAlone ? '' : `${this.#target.host}: `}${terminal.paint('red', event.message)}`;
    }
  }
}

/** Prints a line of JSON for each request and a summary. */
export class JsonStampReport {
  readonly #lines: JsonLines;

  constructor(terminal: Terminal, target: ToolTarget, options: SampleOptions) {
    this.#lines = new JsonLines(terminal, target, options.quiet === true);
  }

  connected(): void {}

  observe(event: StampEvent): void {
    switch (event.kind) {
      case 'sent':
        return;
      case 'reply': {
        const { kind, sequence, ...reply } = event;
        return this.#lines.event(kind, { sequence: sequence + 1, ...reply });
      }
      case 'silence':
        return this.#lines.event('lost', { sequence: event.sequence + 1, waitedMs: event.waitedMs });
      case 'wrong':
        return this.#lines.event('corrupted', { bytes: event.bytes });
      case 'refused': {
        const sequence = event.sequence === undefined ? undefined : event.sequence + 1;
        return this.#lines.event('error', { sequence, outcome: event.outcome, error: event.message });
      }
    }
  }

  ended(result: StampResult): void {
    this.#lines.summary(result.outcome, result.problem, result);
  }
}

function oneWay({ forwardMs, backwardMs }: StampReplyEvent): string {
  if (forwardMs === undefined || backwardMs === undefined) return '';
  return ` there=${forwardMs.toFixed(3)} ms back=${backwardMs.toFixed(3)} ms`;
}

/** How the packets arrived there and here: ` ttl=62/62 dscp=46/0`. */
function ends({ forward, backward }: StampReplyEvent): string {
  const pair = (name: keyof StampArrival): string => {
    if (forward[name] === undefined && backward[name] === undefined) return '';
    return ` ${name}=${forward[name] ?? '?'}/${backward[name] ?? '?'}`;
  };
  return pair('ttl') + pair('dscp');
}
