import { setTimeout as pause } from 'node:timers/promises';
import type { ServiceStatus, Snapshot } from '../admin/snapshot.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { type AdminOptions, adminClient } from './admin.ts';
import { escapeToOneLine, formatJson } from '../../terminal-text.ts';
import { countOf } from '../../units.ts';
import { formatTable } from './table.ts';

export interface StatusOptions extends AdminOptions {
  readonly json?: true;
  readonly watch?: true;
}

/** How often `--watch` polls. */
const watchPeriodMs = 1000;
/** Terminal sequence to start a new screen. */
const home = '\u001b[H\u001b[2J';

/** `smallservd status`: 0 if ready, else 1. `order` goes to a terminal only. Rejects with `ADMIN_UNREACHABLE`. */
export async function status(options: StatusOptions, print: (text: string, order: string) => void): Promise<ExitCode> {
  const client = await adminClient(options);
  for (;;) {
    const snapshot = await client.snapshot();
    const text = options.json ? formatJson(snapshot) : formatStatus(snapshot);
    print(text, options.watch ? home : '');
    if (!options.watch) return snapshot.notReady.length === 0 ? exitCodes.stopped : exitCodes.failed;
    await pause(watchPeriodMs);
  }
}

/** Formats the daemon's status for a terminal. All durations are the daemon's own: clocks may differ, or be set. */
export function formatStatus(snapshot: Snapshot): string {
  const { version, node, pid, startedAt, upMs, notReady, config, workers, listeners, services } = snapshot;
  const health = notReady.length === 0 ? 'ready' : `NOT READY: ${notReady.join('; ')}`;
  const lines = [
    `smallservd ${version}, process ${pid}, Node ${node}, ${upMs === undefined ? `started ${startedAt}` : `up ${formatSpan(upMs)}`}: ${health}`,
    `config ${config.name} (${config.hash}); ${describeReloads(snapshot)}`,
  ];
  const workerRows = workers.map(({ worker, status: condition, pid: id, health: of }) => [
    String(worker),
    condition,
    id === undefined ? '–' : String(id),
    of === undefined ? '–' : `${Math.round(of.residentBytes / 2 ** 20)} MiB`,
    of === undefined ? '–' : `${of.lagMs.toFixed(1)} ms`,
  ]);
  const serviceRows = Object.entries(services).map(([name, service]) => [
    name,
    ...serviceCells(service),
    listeners
      .filter((each) => each.service === name)
      .map(({ address, isOpen }) => (isOpen ? address : `${address} (closed)`))
      .join(' ') || '–',
  ]);
  const offenderRows = Object.entries(services).flatMap(([name, { offenders }]) => [
    ...(offenders?.refused ?? []).map(({ reason, source }) => [name, `refused: ${reason}`, source]),
    ...(offenders?.dropped ?? []).map(({ reason, source }) => [name, `dropped: ${reason}`, source]),
  ]);
  const customRows = Object.entries(services).flatMap(([name, { custom = {} }]) =>
    Object.entries(custom).map(([counter, { count }]) => [name, counter, String(count)]),
  );
  return [
    lines.map((line) => `${escapeToOneLine(line)}\n`).join(''),
    formatTable(['worker', 'status', 'process', 'memory', 'lag'], workerRows),
    formatTable(
      ['service', 'clients', 'accepted', 'refused', 'datagrams', 'replies', 'dropped', 'listens on'],
      serviceRows,
    ),
    ...(customRows.length === 0 ? [] : [formatTable(['service', 'counter', 'count'], customRows)]),
    ...(offenderRows.length === 0 ? [] : [formatTable(['service', 'turned away', 'mostly'], offenderRows)]),
  ].join('\n');
}

function serviceCells({ stream, datagram }: ServiceStatus): readonly string[] {
  const refused = sum(stream.refused);
  const dropped = sum(datagram.dropped);
  return [stream.active, stream.accepted, refused, datagram.received, datagram.sent, dropped].map(String);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function describeReloads({ reload: { attempts, failures, isRunning, last } }: Snapshot): string {
  if (isRunning) return 'reloading now';
  if (last === null) return 'never reloaded';
  const when = last.agoMs === undefined ? `at ${last.at}` : `${formatSpan(last.agoMs)} ago`;
  const result = last.succeeded ? 'succeeded' : `FAILED: ${last.errors.join('; ')}`;
  return `${countOf(attempts, 'reload')}, ${failures} failed; the last one, ${when}, ${result}`;
}

/** Formats a duration in its two largest units: `3d 4h`, `4h 5m`, `5m 6s` or `6s`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}
