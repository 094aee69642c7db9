import { setTimeout as pause } from 'node:timers/promises';
import { formatBytes, formatNumber, formatTime } from '../page/format.ts';
import type { AdminClient } from '../admin/client.ts';
import { growth } from '../admin/service-history.ts';
import type { ServiceRates, Snapshot } from '../admin/snapshot.ts';
import { SmallservdError } from '../../errors.ts';
import { escapeToOneLine, formatJson } from '../../terminal-text.ts';
import { parseDuration } from '../../units.ts';

const usualPeriodMs = 1000;
const longestPeriodMs = 24 * 3_600_000;

/** The time over which the daemon takes its rates. */
const ownRatesMs = 2000;

/** How many rows there are under a head, so that it can be seen on a screen. */
const rowsUnderHead = 20;

const head = ['time', 'clients', 'req/s', 'in/s', 'out/s', 'ref/s', 'drop/s'];
const widths = [8, 7, 8, 9, 9, 6, 7];

/** Reads the value of `--watch` in milliseconds. Throws `ARGUMENT_INVALID`. */
export function readPeriod(text: true | string): number {
  if (text === true) return usualPeriodMs;
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= usualPeriodMs && ms <= longestPeriodMs) return ms;
  const fault = `${JSON.stringify(text)} is not a duration with a unit, such as 5s (1s to 24h)`;
  throw new SmallservdError('ARGUMENT_INVALID', `--watch: ${fault}`);
}

/**
 * Prints a line every period until the process ends, with what all services do together, and what has become of the
 * daemon. Rejects with `ADMIN_UNREACHABLE` if no daemon answers the first time.
 */
export async function watch(
  client: Pick<AdminClient, 'snapshot'>,
  periodMs: number,
  asJson: boolean,
  print: (text: string) => void,
): Promise<never> {
  const rows = new WatchRows(periodMs);
  print(asJson ? formatJson(await client.snapshot()) : rows.next(await client.snapshot()));
  for (;;) {
    await pause(periodMs);
    try {
      const snapshot = await client.snapshot();
      print(asJson ? formatJson(snapshot) : rows.next(snapshot));
    } catch (error) {
      if (!(error instanceof SmallservdError) || asJson) throw error;
      print(rows.lost(error.message));
    }
  }
}

/** The lines of `status --watch`. */
export class WatchRows {
  readonly #periodMs: number;
  readonly #now: () => Date;
  #before: Snapshot | undefined;
  #condition = 'ready';
  #rows = 0;

  constructor(periodMs: number, now: () => Date = () => new Date()) {
    this.#periodMs = periodMs;
    this.#now = now;
  }

  /** The lines for a snapshot. */
  next(snapshot: Snapshot): string {
    const { notReady, startedAt } = snapshot;
    const before = this.#before?.startedAt === startedAt ? this.#before : undefined;
    const change = this.#tell(notReady.length === 0 ? 'ready' : `not ready: ${notReady.join('; ')}`);
    const title = this.#rows % rowsUnderHead === 0 ? line(head) : '';
    this.#rows += 1;
    this.#before = snapshot;
    // The daemon's own rates are those of two seconds.
    return change + title + line([this.#time, ...cells(snapshot, this.#periodMs > ownRatesMs ? before : undefined)]);
  }

  /** The lines when no daemon answers. */
  lost(reason: string): string {
    this.#before = undefined;
    return this.#tell(reason);
  }

  /** Says what has become of the daemon, once. */
  #tell(condition: string): string {
    if (condition === this.#condition) return '';
    this.#condition = condition;
    return `${this.#time} ${escapeToOneLine(condition)}\n`;
  }

  get #time(): string {
    const now = this.#now();
    return formatTime(now.getTime(), now);
  }
}

function line(texts: readonly string[]): string {
  return `${texts.map((text, column) => text.padStart(widths[column] ?? 0)).join(' ')}\n`;
}

/** Rates are those since `before`, or the daemon's own. */
function cells({ services, upMs = Number.NaN }: Snapshot, before: Snapshot | undefined): readonly string[] {
  const tookMs = upMs - (before?.upMs ?? Number.NaN);
  const rates = Object.entries(services).flatMap(([name, service]) => {
    // The name may be that of something that every object inherits.
    const earlier = before !== undefined && Object.hasOwn(before.services, name) ? before.services[name] : undefined;
    return (earlier === undefined ? service.rates : growth(earlier, service, tookMs)) ?? [];
  });
  const clients = Object.values(services).reduce((sum, { stream }) => sum + stream.active, 0);
  const total = (key: keyof ServiceRates): number =>
    rates.reduce((sum, each) => sum + each[key], rates.length === 0 ? Number.NaN : 0);
  return [
    String(clients),
    formatNumber(total('requests')),
    formatBytes(total('bytesIn')),
    formatBytes(total('bytesOut')),
    formatNumber(total('refused')),
    formatNumber(total('dropped')),
  ];
}
