import { Option } from 'commander';
import { formatHostPort } from '../../address/host-port.ts';
import { mostFlows } from '../requests/flows.ts';
import type { LatencySummary } from '../latency.ts';
import { load, type LoadProgress, type LoadResult, type LoadService, loadServices, maxPerSecond } from '../load.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { wrap } from '../../terminal-text.ts';
import { formatDuration } from '../../units.ts';
import { bar, drawHistogram, formatLatency } from './histogram.ts';
import { formatLoadFlows } from './flow-table.ts';
import { durationOption, rateOption, sizeOption, wholeNumberOption } from './option-values.ts';
import { withPath } from './path-options.ts';
import type { Terminal } from './terminal.ts';
import {
  clientOptions,
  type NetworkOptions,
  printResult,
  stepsOfMany,
  type Tool,
  withNetwork,
  withUdp,
} from './tool.ts';

interface LoadToolOptions extends NetworkOptions {
  readonly service: LoadService;
  readonly connections?: number;
  readonly flows?: number;
  readonly duration: number;
  readonly rate?: number;
  readonly requests?: number;
  readonly size?: number;
}

export const loadTool: Tool = {
  name: 'load',
  summary: 'load-test a server: throughput and latency',
  examples: [
    ['load localhost:1201 --connections 50', 'echo over 50 connections for 10s, each as fast as it gets answers'],
    ['load localhost:1201 --rate 5000 --duration 1m', '5000 requests a second, whether it keeps up or not'],
    ['load localhost:1200 --service daytime --requests 150', '150 connections, one for each request'],
    ['load localhost:1201 -u --rate 150 --timeout 1s', 'over UDP; requests not answered within 1s count as lost'],
    ['load localhost:1219 --service chargen --connections 4', 'how fast it sends; with discard, how fast it receives'],
  ],
  hasColors: true,
  define(command, terminal, run) {
    const described = command
      .argument('<host>', 'HOST or HOST:PORT; default port: that of the service')
      .addOption(new Option('--service <name>', 'service to ask for').choices(loadServices).default('echo'))
      .addOption(
        new Option('--connections <n>', 'concurrent connections, with one request in flight each (default: 10)')
          .argParser(wholeNumberOption(1, 10_000))
          .conflicts('flows'),
      )
      .option('--flows <n>', 'use N connections, and report each by its source port', wholeNumberOption(1, mostFlows))
      .addOption(
        new Option('-d, --duration <duration>', 'run for this long, up to 1h')
          .argParser(durationOption)
          .default(10_000, formatDuration(10_000)),
      )
      .option(
        '-r, --rate <n>',
        'requests per second in total; latency counts from when each is due',
        rateOption('requests', maxPerSecond),
      )
      .option('-c, --requests <n>', 'stop after N requests', wholeNumberOption(1))
      .option('-s, --size <bytes>', 'size of a request (default: 64; for discard over TCP: 64KiB)', sizeOption);
    withPath(withNetwork(withUdp(described), stepsOfMany)).action(
      run(async (host: string, options: LoadToolOptions): Promise<ExitCode> => {
        const result = await load(host, {
          ...clientOptions(options, terminal),
          service: options.service,
          connections: options.connections,
          flows: options.flows,
          durationMs: options.duration,
          perSecond: options.rate,
          requests: options.requests,
          size: options.size,
          onProgress: (progress) => terminal.showProgress(formatProgress(progress, terminal.columns)),
        });
        terminal.showProgress(undefined);
        printResult(terminal, options, result, () => formatResult(result, terminal), { outcome: result.outcome });
        return result.outcome === 'ok' ? exitCodes.stopped : exitCodes.failed;
      }),
    );
  },
};

/**
 * One line of at most `columns` characters, less one for the cursor: the throughput and latency of the last second, or
 * in the first one, of what there is.
 */
export function formatProgress(progress: LoadProgress, columns: number): string {
  const { elapsedMs, durationMs, answered, failed, requests, lastSecond } = progress;
  const share = Math.min(1, Math.max(elapsedMs / durationMs, requests === undefined ? 0 : answered / requests));
  const seconds = elapsedMs / 1000;
  const shown = lastSecond ?? progress;
  const shownSeconds = lastSecond === undefined ? seconds : 1;
  const rate =
    progress.p99Ms === undefined
      ? formatByteRate(shown.bytesSent + shown.bytesReceived, shownSeconds)
      : formatRate(shown.answered, shownSeconds);
  const latency = shown.p99Ms === undefined ? '' : `  p99 ${formatLatency(shown.p99Ms)}`;
  const errors = failed === 0 ? '' : `  ${count(failed)} ${failed === 1 ? 'error' : 'errors'}`;
  const text = ` ${seconds.toFixed(0)}s of ${formatDuration(durationMs)}  ${rate}${latency}${errors}`;
  const width = Math.min(30, columns - 1 - text.length - 2);
  return width < 4 ? text.trimStart().slice(0, columns - 1) : `[${bar(share, width).padEnd(width)}]${text}`;
}

/** The report for a person. */
export function formatResult(result: LoadResult, terminal: Pick<Terminal, 'columns' | 'paint'>): string {
  const { service, protocol, peer, connections, elapsedMs, response, serviceTime, openLoop, distribution } = result;
  const where = formatHostPort(peer.address, peer.port);
  const seconds = elapsedMs / 1000;
  const isFlow = protocol === 'tcp' && (service === 'discard' || service === 'chargen');
  const carriers = `${count(connections)} ${protocol === 'tcp' ? 'connection' : 'socket'}${connections === 1 ? '' : 's'}`;
  const lines = [
    terminal.paint('bold', `${service} at ${where} over ${protocol.toUpperCase()}`) +
      `, ${carriers}, ${seconds.toFixed(1)} s${result.isInterrupted ? ', interrupted' : ''}`,
    '',
  ];
  const done = service === 'discard' ? 'requests' : 'answered';
  if (!isFlow) lines.push(`${done.padEnd(11)}${count(result.answered)}, ${formatRate(result.answered, seconds)}`);
  if (openLoop !== undefined) {
    const { wantedPerSecond, waiting, behindMs } = openLoop;
    const behind = `${count(waiting)} due but unsent, ${(behindMs / 1000).toFixed(3)} s behind at the end`;
    const text = `${count(wantedPerSecond)}/s; ${behind}`;
    const wrapped = wrap(text, terminal.columns, ' '.repeat(11)).trimStart();
    lines.push(`target     ${waiting === 0 ? wrapped : terminal.paint('yellow', wrapped)}`);
  }
  if (result.bytesSent > 0) lines.push(`sent       ${formatBytes(result.bytesSent, seconds)}`);
  if (result.bytesReceived > 0) lines.push(`received   ${formatBytes(result.bytesReceived, seconds)}`);
  if (result.unfinished > 0) lines.push(`in flight  ${count(result.unfinished)} at the end`);
  const kinds = Object.entries(result.errors).sort(([, one], [, other]) => other - one);
  if (kinds.length === 0) lines.push('errors     none');
  for (const [kind, times] of kinds) lines.push(`errors     ${terminal.paint('red', `${count(times)} × ${kind}`)}`);
  if (response !== undefined && serviceTime !== undefined) {
    lines.push('', formatLatencies(response, openLoop === undefined ? undefined : serviceTime), '');
    lines.push(drawHistogram(distribution, terminal.columns, (text) => terminal.paint('cyan', text)).trimEnd());
  }
  if (result.flows !== undefined) lines.push('', formatLoadFlows(result.flows, terminal).trimEnd());
  return `${lines.join('\n')}\n`;
}

const columnsOfLatency = [
  ['p50', 'p50Ms'],
  ['p90', 'p90Ms'],
  ['p99', 'p99Ms'],
  ['p99.9', 'p999Ms'],
  ['max', 'maxMs'],
] as const;

/** The percentiles side by side. For an open loop, both from when requests were due and from when they were sent. */
function formatLatencies(response: LatencySummary, serviceTime: LatencySummary | undefined): string {
  const row = (title: string, summary: LatencySummary): string =>
    title.padEnd(10) + columnsOfLatency.map(([, key]) => formatLatency(summary[key]).padStart(9)).join('');
  const head = 'latency'.padEnd(10) + columnsOfLatency.map(([title]) => title.padStart(9)).join('');
  if (serviceTime === undefined) return `${head}\n${row('', response)}`;
  return `${head}\n${row('since due', response)}\n${row('since sent', serviceTime)}`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function formatRate(answered: number, seconds: number): string {
  const perSecond = seconds === 0 ? 0 : answered / seconds;
  return `${count(perSecond < 100 ? Number(perSecond.toFixed(1)) : Math.round(perSecond))}/s`;
}

function formatByteRate(bytes: number, seconds: number): string {
  return `${roundBytes(seconds === 0 ? 0 : bytes / seconds)}/s`;
}

function formatBytes(bytes: number, seconds: number): string {
  return `${roundBytes(bytes)}, ${formatByteRate(bytes, seconds)}`;
}

/** Formats bytes in a suitable unit with three significant figures. */
function roundBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${count(Number((bytes / 1024 ** step).toPrecision(step === 0 ? 4 : 3)))} ${units[step]}`;
}
