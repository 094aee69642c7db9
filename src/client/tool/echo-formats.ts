import { systemClock } from '../../clock/clock.ts';
import type { EchoPingEvent, EchoPingResult } from '../echo-ping.ts';
import { SmallservdError } from '../../errors.ts';
import type { EchoReport, EchoReportOptions } from './echo-report.ts';
import { formatTime } from './sample-text.ts';
import type { ToolTarget } from './targets.ts';
import type { Terminal } from './terminal.ts';

/**
 * The lines of `fping -C` (fping(8)): on standard output each result as it comes, and at the end on standard error
 * `HOST : 0.12 - 0.11`, the round trips in milliseconds.
 */
export class FpingEchoReport implements EchoReport {
  protected readonly terminal: Terminal;
  readonly #target: ToolTarget;
  readonly #options: EchoReportOptions;
  /** By request. Undefined without a right answer. */
  readonly #rttsMs: (number | undefined)[];
  /** Requests that have had a line without a round trip. A late answer adds a line, but no request. */
  readonly #unanswered = new Set<number>();
  #done = 0;
  #answered = 0;
  #sumMs = 0;

  constructor(terminal: Terminal, target: ToolTarget, options: EchoReportOptions) {
    this.terminal = terminal;
    this.#target = target;
    this.#options = options;
    this.#rttsMs = Array.from({ length: options.count });
  }

  connected(): void {}

  observe(event: EchoPingEvent): void {
    const { sequence } = event;
    if (event.kind === 'sent' || sequence === undefined || this.#rttsMs[sequence] !== undefined) return;
    if (!this.#unanswered.delete(sequence)) this.#done += 1;
    if (event.kind !== 'answered') this.#unanswered.add(sequence);
    else {
      this.#rttsMs[sequence] = event.rttMs;
      this.#answered += 1;
      this.#sumMs += event.rttMs;
    }
    if (this.#options.isQuiet) return;
    const what =
      event.kind === 'answered' ? `${this.#options.sizeBytes} bytes, ${formatTime(event.rttMs)} ms` : 'timed out';
    const average = this.#answered === 0 ? 'NaN' : formatTime(this.#sumMs / this.#answered);
    const loss = Math.max(0, Math.floor(((this.#done - this.#answered) * 100) / this.#done));
    this.terminal.print(`${this.#name} : [${sequence}], ${what} (${average} avg, ${loss}% loss)\n`);
  }

  ended(): void {
    this.printTimes(`${this.#options.isQuiet ? '' : '\n'}${this.times}`);
  }

  failed(): void {
    this.ended();
  }

  /** The line with all round trips. */
  protected get times(): string {
    const times = this.#rttsMs.map((ms) => (ms === undefined ? '-' : formatTime(ms)));
    return `${this.#name} : ${times.join(' ')}\n`;
  }

  protected printTimes(text: string): void {
    this.terminal.printError(text);
  }

  get #name(): string {
    return this.#target.host.padEnd(this.#target.widestHost);
  }
}

/** Only the last line of `fping -C`, on standard output: what the FPing probe of SmokePing reads. */
export class SmokePingEchoReport extends FpingEchoReport {
  constructor(terminal: Terminal, target: ToolTarget, options: EchoReportOptions) {
    super(terminal, target, { ...options, isQuiet: true });
  }

  protected override printTimes(text: string): void {
    this.terminal.print(text);
  }
}

/** The headers of `CsvEchoReport`, once for all targets: that of rows for requests, and of rows for targets. */
export const csvHeaders = {
  requests: 'time,target,sequence,type,rttMs,error\n',
  targets: 'time,target,outcome,sent,received,lost,minMs,meanMs,maxMs,error\n',
} as const;

/**
 * Comma-separated values (RFC 4180, with LF): a row for each request, or if it is quiet, for each target, with the
 * names of the JSON lines.
 */
export class CsvEchoReport implements EchoReport {
  readonly #terminal: Terminal;
  readonly #target: ToolTarget;

  readonly #isQuiet: boolean;

  constructor(terminal: Terminal, target: ToolTarget, { isQuiet }: Pick<EchoReportOptions, 'isQuiet'>) {
    this.#terminal = terminal;
    this.#target = target;
    this.#isQuiet = isQuiet;
  }

  connected(): void {}

  observe(event: EchoPingEvent): void {
    if (event.kind === 'sent' || this.#isQuiet) return;
    const sequence = event.sequence === undefined ? '' : String(event.sequence + 1);
    switch (event.kind) {
      case 'answered':
        // What is answered twice has had its row.
        return event.isDuplicate ? undefined : this.#row(sequence, 'reply', event.rttMs.toFixed(3), '');
      case 'silence':
        return this.#row(sequence, 'lost', '', '');
      case 'corrupted':
        return this.#row(sequence, 'corrupted', '', '');
      case 'refused':
        return this.#row(sequence, 'error', '', event.message);
    }
  }

  ended({ outcome, sent, received, lost, times }: EchoPingResult, error = ''): void {
    if (!this.#isQuiet) return;
    const { minMs, meanMs, maxMs } = times ?? {};
    const rtts = [minMs, meanMs, maxMs].map((ms) => ms?.toFixed(3) ?? '');
    this.#row(outcome, String(sent), String(received), String(lost), ...rtts, error);
  }

  failed(error: Error): void {
    const outcome = error instanceof SmallservdError ? error.outcome : 'failed';
    if (this.#isQuiet) this.#row(outcome, '', '', '', '', '', '', error.message);
    else this.#row('', 'error', '', error.message);
  }

  #row(...cells: readonly string[]): void {
    const row = [systemClock.now().toISOString(), this.#target.host, ...cells];
    this.#terminal.print(`${row.map(quoted).join(',')}\n`);
  }
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
